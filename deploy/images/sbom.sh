#!/usr/bin/env bash
# Writes build/sbom/SERVICE.cdx.json: the packages of each image with their licences and dependencies. A lock has
# neither, so they are read from an environment that is installed from it as in the Dockerfile.
# `deploy/images/sbom.sh FOLDER-OF-CYCLONEDX-PY PYTHON`
set -euo pipefail
cd "$(dirname "$0")/../.."
for service in emulator simulator ingest scorer trainer; do
  environment=build/sbom/environments/$service
  "$2" -m venv --clear --without-pip "$environment"
  "$1/pip" --python "$environment/bin/python3" --disable-pip-version-check install --quiet --no-compile --no-deps \
    --only-binary=:all: --require-hashes -r "deploy/images/locks/$service.lock"
  "$1/cyclonedx-py" environment "$environment" --pyproject pyproject.toml --mc-type application --sv 1.6 \
    --output-reproducible --output-file "build/sbom/$service.cdx.json"
  echo "build/sbom/$service.cdx.json"
done
rm -rf build/sbom/environments
