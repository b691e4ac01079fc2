package yifang;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.IssueSeverity;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;

/**
 * HAPI's instance validator, offline: reads paths from standard input and writes a line for each, as soon as it is judged:
 * "error" or "ok", a tab, the path, and with an error a tab and its first message. A line "time N path" is answered by the best of N
 * runs in microseconds, after as many to warm up.
 */
public final class Validate {
	public static void main(String[] arguments) throws Exception {
		var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
		var validator = validator();
		var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
		for (String line; (line = lines.readLine()) != null; ) {
			if (line.startsWith("time ")) {
				var parts = line.split(" ", 3);
				out.println("time\t" + best(validator, Files.readString(Path.of(parts[2])), Integer.parseInt(parts[1])) + "\t" + parts[2]);
			} else {
				out.println(verdict(validator, Files.readString(Path.of(line))).formatted(line));
			}
		}
	}

	private static FhirValidator validator() {
		var fhir = FhirContext.forR4Cached();
		var unknown = new UnknownCodeSystemWarningValidationSupport(fhir);
		unknown.setNonExistentCodeSystemSeverity(IssueSeverity.WARNING);
		var support = new ValidationSupportChain(new DefaultProfileValidationSupport(fhir), new CommonCodeSystemsTerminologyService(fhir),
			new InMemoryTerminologyServerValidationSupport(fhir), new SnapshotGeneratingValidationSupport(fhir), unknown);
		return fhir.newValidator().registerValidatorModule(new FhirInstanceValidator(support));
	}

	/** The line of one file, with %s for its path. HAPI gives up on some malformed resources before it validates: an error too. */
	private static String verdict(FhirValidator validator, String text) {
		try {
			for (var message : validator.validateWithResult(text).getMessages())
				if (message.getSeverity().ordinal() >= ResultSeverityEnum.ERROR.ordinal())
					return "error\t%s\t" + (message.getLocationString() + " " + message.getMessage()).replaceAll("\\s+", " ").replace("%", "%%");
			return "ok\t%s";
		} catch (Exception | LinkageError | StackOverflowError unreadable) {
			return "error\t%s\t" + unreadable.toString().replaceAll("\\s+", " ").replace("%", "%%");
		}
	}

	private static long best(FhirValidator validator, String text, int runs) {
		long found = Long.MAX_VALUE;
		for (int run = 0; run < 2 * runs; run++) {
			long begun = System.nanoTime();
			validator.validateWithResult(text);
			if (run >= runs) found = Math.min(found, (System.nanoTime() - begun) / 1000);
		}
		return found;
	}
}
