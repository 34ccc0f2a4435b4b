#!/usr/bin/env bash
# Sums the .trx files of a folder: why tests were skipped, grouped by reason, and as the last line "N passed, N failed, N skipped".
#   build/sum-tests.sh FOLDER
# Exit code 1 where no test passed. Needs awk only: .trx files are XML with one element or one text a line, as dotnet test writes them.
set -euo pipefail
if [ $# -ne 1 ]; then echo "build/sum-tests.sh FOLDER: name the folder of the .trx files" >&2; exit 2; fi
shopt -s nullglob
files=("$1"/*.trx)
if [ ${#files[@]} -eq 0 ]; then echo "no .trx file in '$1'" >&2; echo "0 passed, 0 failed, 0 skipped"; exit 1; fi
awk '
  function attribute(name,  parts) { return split($0, parts, " " name "=\"") > 1 ? substr(parts[2], 1, index(parts[2], "\"") - 1) : "" }
  function plain(text) {
    gsub(/&lt;/, "<", text); gsub(/&gt;/, ">", text); gsub(/&quot;/, "\"", text); gsub(/&apos;/, "\047", text); gsub(/&#x[AaDd];/, " ", text); gsub(/&amp;/, "\\&", text)
    return text
  }
  /<UnitTestResult / { skipped = attribute("outcome") == "NotExecuted"; message = output = into = "" }
  skipped && match($0, /<(StdOut|Message)>/) { into = substr($0, RSTART + 1, RLENGTH - 2); $0 = substr($0, RSTART + RLENGTH) }
  skipped && into != "" {
    ends = match($0, /<\/(StdOut|Message)>/)
    line = ends ? substr($0, 1, RSTART - 1) : $0
    gsub(/^[ \t\r]+|[ \t\r]+$/, "", line)
    if (line != "" && into == "Message") message = message == "" ? line : message " " line
    if (line != "" && into == "StdOut" && output == "") output = line
    if (ends) into = ""
  }
  # xunit gives the reason as a message, or else as the first line of the output.
  skipped && (/<\/UnitTestResult>/ || /<UnitTestResult .*\/>/) { reasons[plain(message != "" ? message : output != "" ? output : "no reason given")]++; skipped = 0 }
  /<Counters / { passed += attribute("passed"); failed += attribute("failed"); total += attribute("total"); executed += attribute("executed") }
  END {
    if (total > executed) {
      printf "%d skipped:\n", total - executed
      fflush() # before sort writes to the same place
      sorted = "sort -k1,1nr -k2"
      for (text in reasons) printf "  %d × %s\n", reasons[text], text | sorted
      close(sorted)
    }
    if (passed == 0) { print "no test ran" | "cat >&2"; close("cat >&2") }
    printf "%d passed, %d failed, %d skipped\n", passed, failed, total - executed
    exit passed > 0 ? 0 : 1
  }' "${files[@]}"
