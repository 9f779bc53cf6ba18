#!/usr/bin/env bash
# Builds the image of each service with Debian's buildah, without Docker or a daemon, on a base that debootstrap
# makes: `deploy/images/build.sh [SERVICE...]`. Needs root, buildah and debootstrap.
# Layers and base go below IMAGES_DIR, which may be deleted afterwards.
set -euo pipefail
cd "$(dirname "$0")/../.."

services=("${@:-emulator}")
[ $# -gt 0 ] || services=(emulator simulator ingest scorer trainer)
: "${IMAGES_DIR:=build/images}"
mkdir -p "$IMAGES_DIR"
IMAGES_DIR=$(realpath "$IMAGES_DIR")
base=localhost/fleetprice-base:bookworm
build_base=localhost/fleetprice-build:bookworm

for tool in buildah debootstrap; do
  command -v "$tool" >/dev/null || { echo "make images needs $tool: apt-get install $tool" >&2; exit 2; }
done
[ "$(id -u)" = 0 ] || { echo "make images needs root, as debootstrap does" >&2; exit 2; }

buildah_() { buildah --root "$IMAGES_DIR/storage" --runroot "$IMAGES_DIR/run" --storage-driver overlay "$@"; }

# Debian with its Python and today's security updates, without documentation and package lists. If this machine
# runs Debian 12, the base uses its apt sources.
make_base() {
  local root=$IMAGES_DIR/rootfs sources=/etc/apt/sources.list.d/debian.sources
  set -E
  trap 'echo "the base could not be made, $IMAGES_DIR/debootstrap.log ends:" >&2; tail -n 3 "$IMAGES_DIR/debootstrap.log" >&2' ERR
  rm -rf "$root" "$root.build"
  debootstrap --variant=minbase --include=python3,ca-certificates bookworm "$root" >"$IMAGES_DIR/debootstrap.log" 2>&1
  if grep -qs bookworm-security "$sources"; then
    cp "$sources" "$root$sources" && rm -f "$root/etc/apt/sources.list"
  fi
  chroot "$root" sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y upgrade' >>"$IMAGES_DIR/debootstrap.log" 2>&1 ||
    echo "the base lacks today's updates: $IMAGES_DIR/debootstrap.log" >&2
  local plain
  plain=$(buildah_ from scratch)
  local with_venv
  cp -a "$root" "$root.build"
  chroot "$root.build" sh -c 'DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends python3-venv' >>"$IMAGES_DIR/debootstrap.log" 2>&1
  for one in "$root" "$root.build"; do
    chroot "$one" apt-get clean
    rm -rf "$one"/var/lib/apt/lists/* "$one"/var/cache/debconf/*-old "$one"/var/log/*.log
    find "$one/usr/share/doc" -type f ! -name copyright -delete
    rm -rf "$one"/usr/share/man/* "$one"/usr/share/locale/* "$one/etc/resolv.conf"
  done
  buildah_ add --quiet "$plain" "$root" / >/dev/null
  buildah_ commit --quiet --rm "$plain" "$base" >/dev/null
  with_venv=$(buildah_ from scratch)
  buildah_ add --quiet "$with_venv" "$root.build" / >/dev/null
  buildah_ commit --quiet --rm "$with_venv" "$build_base" >/dev/null
  rm -rf "$root" "$root.build"
  trap - ERR
}

# Prints buildah's options that hand this machine's pip configuration to the build: a secret and mounted folders.
print_pip_options() {
  local conf=$IMAGES_DIR/pip.conf
  (umask 077 && .venv/bin/python -m pip config list | sed -nE "s/^(global|install|:env:)\.([a-z-]+)='(.*)'$/\2 = \3/p" |
    sed 's/\\n/ /g' | sort -u -t= -k1,1 | { echo '[global]'; cat; } >"$conf")
  printf -- '--secret\nid=pip,src=%s\n' "$conf"
  # A local index links to files beside its folder `simple`.
  grep -oE '(file://)?/[A-Za-z0-9/_.-]+' "$conf" | sed -E 's#^file://##; s#/simple/?$##' | grep -vE '^//' | sort -u |
    while read -r path; do [ -e "$path" ] && printf -- '--volume\n%s:%s:ro\n' "$path" "$path"; done
  return 0
}

# The last stage of an image has no instructions, and buildah leaves its container mounted.
trap 'buildah_ rm --all >/dev/null' EXIT
buildah_ inspect --type image "$build_base" >/dev/null 2>&1 || make_base
mapfile -t pip_options < <(print_pip_options)
version=$(sed -nE 's/^__version__ = "(.*)"/\1/p' shared/__init__.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for service in "${services[@]}"; do
  buildah_ bud --quiet --isolation chroot --layers --format docker --file services/Dockerfile "${pip_options[@]}" \
    --build-arg BASE_IMAGE="$base" --build-arg BUILD_IMAGE="$build_base" --build-arg SERVICE="$service" \
    --build-arg VERSION="$version" --build-arg REVISION="$revision" \
    --tag "localhost/fleetprice-$service:$version" . >/dev/null
  echo "localhost/fleetprice-$service:$version"
done
