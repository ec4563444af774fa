#!/usr/bin/env bash
# Pushes the service's index into a registry of its own, and looks at what has arrived.
set -euo pipefail
windlass=$TEST_SRCDIR/$1
push=$TEST_SRCDIR/$2

# The registry takes a free port, and says which on standard error.
"$windlass" serve --listen 127.0.0.1:0 --data "$TEST_TMPDIR/registry" 2> "$TEST_TMPDIR/registry.log" &
trap 'kill %1' EXIT
for _ in {1..100}; do
  registry=$(grep -o '127.0.0.1:[0-9]*' "$TEST_TMPDIR/registry.log" | head -1) && break
  sleep 0.1
done

pushed=$("$push" --repository "$registry/service")
digest=${pushed#*@}

index=$(curl -fsS "http://$registry/v2/service/manifests/tested")
[[ sha256:$(printf %s "$index" | sha256sum | cut -d' ' -f1) == "$digest" ]]
[[ $index == *'"architecture":"amd64"'* && $index == *'"architecture":"arm64"'* ]]
