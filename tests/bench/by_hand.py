"""What a programmer would write by hand for one ORU^R01: split, dicts, orjson. The same output as the map, nothing checked, nothing kept.

It is the reference of the mapping benchmark; a test compares its output with the map's, resource by resource.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import orjson

from gateway.fhir.ids import IdScheme


def read_table(path: Path) -> dict[str, list[dict[str, str]]]:
    """A code table by source code."""
    found: dict[str, list[dict[str, str]]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            coding = {"system": row["target_system"], "code": row["target"]}
            if row.get("target_display"):
                coding["display"] = row["target_display"]
            found.setdefault(row["source"], []).append(coding)
    return found


class ByHand:
    """One sender's messages by hand. ucum: printed unit -> UCUM; items: OBX-3 -> LOINC coding."""

    def __init__(self, ids: IdScheme, authority: str, organisation: str, ucum: dict[str, str], items: dict[str, list[dict[str, str]]]) -> None:
        self.ids, self.authority, self.organisation, self.ucum, self.items = ids, authority, organisation, ucum, items
        self.hospital = self.reference("Organization", "org", organisation)

    def reference(self, type_: str, namespace: str, *parts: str) -> dict[str, Any]:
        """A reference with its business identifier."""
        identifier = {"system": self.ids.system(namespace), "value": self.ids.value(parts)}
        return {"reference": f"{type_}/{self.ids.derive(type_, namespace, parts)}", "identifier": identifier}

    def quantity(self, text: str, unit: str) -> dict[str, Any]:
        """A Quantity; the number is spliced in as it was printed."""
        return {"value": orjson.Fragment(text.encode()), "unit": unit, "system": "http://unitsofmeasure.org", "code": self.ucum[unit]}

    def resources(self, message: bytes) -> list[dict[str, Any]]:
        """All resources of a message; references to the patient are left empty, as the map leaves them to the writer."""
        segments = [line.split("|") for line in message.decode().split("\r") if line]
        pid, pv1, obr = segments[1], segments[2], segments[3]
        obx = segments[4:]
        org, derive = self.organisation, self.ids.derive
        subject: dict[str, Any] = {}
        encounter = self.reference("Encounter", "visit", org, pv1[19])
        order, filler, panel = obr[2], obr[3], obr[4].split("^")
        code = {"coding": [{"system": f"{self.authority}/codes/{panel[2]}", "code": panel[0], "display": panel[1]}], "text": panel[1]}
        order_id = derive("ServiceRequest", "lab-order", (org, order, panel[0]))
        report_id = derive("DiagnosticReport", "lab-report", (org, filler, panel[0]))
        results = [self.result(row, subject, encounter, filler, panel[0]) for row in obx]
        return [
            self.patient(pid),
            {
                "resourceType": "ServiceRequest",
                "id": order_id,
                "identifier": [{"system": self.ids.system("lab-order"), "value": f"{org}/{order}/{panel[0]}"}],
                "status": "completed",
                "intent": "order",
                "category": [{"coding": [{"system": "http://snomed.info/sct", "code": "108252007"}]}],
                "code": code,
                "subject": subject,
                "encounter": encounter,
            },
            {
                "resourceType": "DiagnosticReport",
                "id": report_id,
                "identifier": [{"system": self.ids.system("lab-report"), "value": f"{org}/{filler}/{panel[0]}"}],
                "meta": {"profile": [f"{self.ids.base}/StructureDefinition/laboratory-report"]},
                "basedOn": [{"reference": f"ServiceRequest/{order_id}"}],
                "status": "final",
                "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": obr[24]}]}],
                "code": code,
                "subject": subject,
                "encounter": encounter,
                "effectiveDateTime": moment(obr[7]),
                "issued": moment(obr[22]),
                "performer": [self.hospital],
                "result": [{"reference": f"Observation/{r['id']}"} for r in results],
            },
            *results,
        ]

    def patient(self, pid: list[str]) -> dict[str, Any]:
        """The Patient of PID."""
        number = pid[3].split("^")
        kind = {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NI"},
                {"system": f"{self.authority}/codes/PID-3", "code": number[4]},
            ],
            "text": "国家个人标识",
        }
        born = pid[7]
        return {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:oid:2.16.156.10011.1.3", "value": number[0], "type": kind}],
            "name": [{"text": pid[5].split("^")[0]}],
            "gender": {"M": "male", "F": "female"}[pid[8]],
            "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:8]}",
        }

    def result(self, row: list[str], subject: dict[str, Any], encounter: dict[str, Any], filler: str, panel: str) -> dict[str, Any]:
        """One OBX as an Observation."""
        item = row[3].split("^")
        codings = self.items.get(item[0]) or [{"system": f"{self.authority}/codes/OBX-3", "code": item[0]}]
        low, _, high = row[7].partition("-")
        unit, key = row[6], (self.organisation, filler, panel, item[0], row[4])
        flag = {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": row[8]},
                {"system": f"{self.authority}/codes/OBX-8", "code": row[8]},
            ],
            "text": "正常",
        }
        return {
            "resourceType": "Observation",
            "id": self.ids.derive("Observation", "lab-result", key),
            "identifier": [{"system": self.ids.system("lab-result"), "value": self.ids.value(key)}],
            "status": {"F": "final"}[row[11]],
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}],
            "code": {"coding": codings, "text": item[1]},
            "subject": subject,
            "encounter": encounter,
            "effectiveDateTime": moment(row[14]),
            "performer": [self.hospital],
            "valueQuantity": self.quantity(row[5], unit),
            "interpretation": [flag],
            "referenceRange": [{"text": row[7], "low": self.quantity(low, unit), "high": self.quantity(high, unit)}],
        }

    def encode(self, message: bytes) -> list[bytes]:
        """Bytes to bytes."""
        return [orjson.dumps(r) for r in self.resources(message)]


def moment(text: str) -> str:
    """A DTM to the second as a FHIR dateTime in China's zone."""
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:14]}+08:00"
