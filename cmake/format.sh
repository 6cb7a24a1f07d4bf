#!/bin/sh
# Looks whether every .cpp, .cu and .h is as clang-format 14 leaves it, and names those that are not;
# `format.sh --fix` rewrites them. Other versions format differently, so only 14 will do: where it
# is not there, nothing is looked at.
set -eu
cd "$(dirname "$0")/.."

clang_format=""
for name in clang-format-14 clang-format; do
  if command -v "$name" > /dev/null && "$name" --version | grep -q 'version 14\.'; then
    clang_format=$name
    break
  fi
done
if [ -z "$clang_format" ]; then
  echo "clang-format 14 is not here (Debian: clang-format-14): formatting was not checked"
  exit 0
fi

sources() { find lib bin data_prep tests \( -name '*.cpp' -o -name '*.cu' -o -name '*.h' \) -print0; }

if [ "${1:-}" = --fix ]; then
  sources | xargs -0 "$clang_format" -i
elif sources | xargs -0 "$clang_format" --dry-run -Werror 2> /dev/null; then
  echo "every .cpp, .cu and .h is as clang-format 14 leaves it"
else
  echo "not as clang-format 14 leaves them (\`make format\` rewrites them):" >&2
  sources | xargs -0 -n 1 sh -c '"$0" --dry-run -Werror "$1" 2> /dev/null || echo "  $1"' \
    "$clang_format" | sort >&2
  exit 1
fi
