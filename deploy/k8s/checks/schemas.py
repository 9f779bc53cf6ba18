"""Validates rendered manifests by schemas: `python schemas.py FILE… [--crds FOLDER…]`.

`make manifests` runs it in its own environment, which has kubernetes-validate. Kubernetes' own kinds are
validated by its published schemas, strictly: an unknown field is an error. Others are validated by the
CustomResourceDefinitions below the given folders; without them they are listed as not checked.
"""

import argparse
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

# The versions that AKS supports; the manifests use nothing newer than the first.
KUBERNETES = ("1.33", "1.34", "1.35")


def find_definitions(folders):
    """Map (apiVersion, kind) to the schema of its custom resources."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.yaml")):
            if "crd" in str(path):
                found |= _read_definitions(path)
    return found


def _read_definitions(path):
    try:
        documents = [one for one in yaml.safe_load_all(path.read_text()) if isinstance(one, dict)]
    except yaml.YAMLError:  # a template of a chart
        return {}
    return {
        (f"{one['spec']['group']}/{version['name']}", one["spec"]["names"]["kind"]): _strict(
            version["schema"]["openAPIV3Schema"]
        )
        for one in documents
        if one.get("kind") == "CustomResourceDefinition"
        for version in one["spec"]["versions"]
    }


def _strict(schema):
    """Return the schema with unknown fields refused, which a cluster would drop silently."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict


def find_faults(resource, definitions):
    """Return the faults of a resource, one line each, or None if there is no schema for it."""
    name = f"{resource['kind']}/{resource['metadata']['name']}"
    definition = definitions.get((resource["apiVersion"], resource["kind"]))
    if definition is not None:
        own = {key: value for key, value in resource.items() if key != "metadata"}
        errors = Draft202012Validator(definition).iter_errors(own | {"metadata": {}})
        return [f"{name}: {error.json_path}: {error.message}" for error in errors]
    faults = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            return None
        except kubernetes_validate.ValidationError as error:
            faults.append(f"{name} for {version}: {'.'.join(map(str, error.path))}: {error.message}")
    return faults


def main():
    """Validate the files. Return exit code 0 if everything that could be checked is valid."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--crds", nargs="*", default=[])
    given = parser.parse_args()
    definitions = find_definitions(given.crds)
    checked, unchecked, faults = 0, set(), []
    for file in given.files:
        for resource in yaml.safe_load_all(file.read_text()):
            found = find_faults(resource, definitions)
            if found is None:
                unchecked.add(f"{resource['apiVersion']} {resource['kind']}")
            else:
                checked += 1
                faults += [f"{file.name}: {one}" for one in found]
    lines = faults or [f"schemas: {checked} resources are valid for Kubernetes {', '.join(KUBERNETES)}"]
    if unchecked:
        lines.append(f"no schema for {', '.join(sorted(unchecked))}: name folders with them in CRDS")
    sys.stdout.write("\n".join([*lines, ""]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
