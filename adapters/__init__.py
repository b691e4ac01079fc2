"""Adapters: one folder a protocol or container. They import only gateway.{adapter,tabular,folder,record,errors,clock}."""
