"""Writes by API: create, update, delete and bundles of them, as commands inside the writer's transaction (design/records.md, "Workflow and API")."""
