#!/bin/sh
# A shell pipeline: summarises each text file, then all the summaries.
#
#   examples/pipeline.sh notes/*.txt >summary.txt
#
# Answers go to standard output, everything else to standard error; the exit status says what went wrong.
set -u

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

for file in "$@"; do
    if llm-sync generate --system "Summarise this in one sentence." --max-tokens 200 --input "$file" >>"$work/summaries"; then
        echo "$file: done" >&2
    else
        status=$?
        case $status in
            3 | 4) exit $status ;;                      # configuration or key: all files would fail
            5 | 6) echo "$file: later ($status)" >&2 ;; # rate limit, network: try again later
            *) echo "$file: given up ($status)" >&2 ;;
        esac
    fi
done

[ -s "$work/summaries" ] || { echo "no file was summarised" >&2; exit 1; }
llm-sync generate --system "Make one paragraph of these." --max-tokens 400 --json <"$work/summaries" |
    python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())["response"]["text"])'
