#!/usr/bin/env bash
# Starts the push that lies in this test's runfiles, from here and from elsewhere, with nothing in PATH.
set -euo pipefail
push=$PWD/$1
export PATH=/nonexistent
"$1" --repository "$REGISTRY/from-runfiles"
cd /
"$push" --repository "$REGISTRY/from-the-root"
