"""Holds rendered manifests against schemas: `python schemas.py FILE… [--crds FOLDER…]`.

Run by `make manifests` in an environment of its own that has kubernetes-validate. Kubernetes' own kinds are
held against its published schemas, strictly: a field that it does not know is an error. Others are held to
the CustomResourceDefinitions found below the folders named; without them they are listed as not checked.
"""

import argparse
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator

# AKS serves these; the manifests use nothing that is younger than the first.
KUBERNETES = ("1.33", "1.34", "1.35")


def definitions_in(folders):
    """(apiVersion, kind) → the schema of its custom resources."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.yaml")):
            if "crd" in str(path):
                found |= _definitions_of(path)
    return found


def _definitions_of(path):
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
    """The schema with unknown fields refused, which a cluster would drop without a word."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict


def faults_of(resource, definitions):
    """What is wrong with a resource, a line each; None where there is no schema for it."""
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
    """The exit code: 0 where nothing is wrong with what could be checked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--crds", nargs="*", default=[])
    given = parser.parse_args()
    definitions = definitions_in(given.crds)
    checked, unchecked, faults = 0, set(), []
    for file in given.files:
        for resource in yaml.safe_load_all(file.read_text()):
            found = faults_of(resource, definitions)
            if found is None:
                unchecked.add(f"{resource['apiVersion']} {resource['kind']}")
            else:
                checked += 1
                faults += [f"{file.name}: {one}" for one in found]
    said = faults or [f"schemas: {checked} resources are as Kubernetes {', '.join(KUBERNETES)} has them"]
    if unchecked:
        said.append(f"no schema for {', '.join(sorted(unchecked))}: CRDS names folders that have them")
    sys.stdout.write("\n".join([*said, ""]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
