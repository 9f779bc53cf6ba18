#!/usr/bin/env bash
# Runs the images that build.sh built, by crun: `deploy/images/try.sh [--seconds S] [--listings FILE]`.
# It has its own mount namespace, so its mounts end with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v crun >/dev/null || { echo "make images needs crun: apt-get install crun" >&2; exit 2; }
# crun refuses hosts with both versions of control groups, although none is used here.
hide='if [ -d /sys/fs/cgroup/unified ]; then umount --lazy /sys/fs/cgroup/unified; fi; exec "$@"'
exec unshare --mount bash -c "$hide" try .venv/bin/python -m tests.images --folder "${IMAGES_DIR:-build/images}" "$@"
