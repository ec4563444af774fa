#!/bin/sh
# Prints what stamped builds may use. STABLE_ values make what uses them build again; others do not.
echo "STABLE_GIT_COMMIT $(git rev-parse --short HEAD 2>/dev/null || echo none)"
