#!/usr/bin/env bash
# Runs the images that build.sh built, by crun: `deploy/images/try.sh [--seconds S] [--listings FILE]`.
# In a mount namespace of its own: whatever is mounted for it ends with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v crun >/dev/null || { echo "make images needs crun: apt-get install crun" >&2; exit 2; }
# crun refuses hosts that have both kinds of control groups, though none are used here.
hide='if [ -d /sys/fs/cgroup/unified ]; then umount --lazy /sys/fs/cgroup/unified; fi; exec "$@"'
exec unshare --mount bash -c "$hide" try .venv/bin/python -m tests.images --folder "${IMAGES_DIR:-build/images}" "$@"
