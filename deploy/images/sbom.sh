#!/usr/bin/env bash
# build/sbom/SERVICE.cdx.json: what pip installs in each image, with licences and who needs whom. It is read
# off an environment that is made as the Dockerfile makes it, from the same lock: a lock alone has neither.
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
