#!/bin/sh
# disk-report: a plain command as an agent. Writes how full the disks are to disk-report.txt in the app's folder and
# prints the fullest. No SDK: the exit status says it all (0 done, 75 not now, else crashed), SIGTERM asks to cancel.
set -eu

: "${LULL_STATE:?is not set: this is an agent, which a Lull node starts}"
command -v df >/dev/null || {
    echo "df is not installed, so there is nothing to report" >&2
    exit 75
}

report="$LULL_STATE/disk-report.txt"
part="$report.part"
trap 'rm -f "$part"' EXIT
trap 'exit 75' TERM

{
    echo "Disk usage on $(uname -n), $(date -u +%Y-%m-%dT%H:%M:%SZ)"
    # A file system that does not answer is no reason to report none of the others.
    df -P -k || true
} >"$part"
# Half a report is never seen: the name comes last.
mv -f "$part" "$report"

awk 'NR > 2 && $2 > 0 && $5 + 0 >= full { full = $5 + 0; where = $6 }
    END { if (where == "") print "no disks seen"; else print "fullest: " where " at " full " %" }' "$report"
