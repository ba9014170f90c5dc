#!/bin/sh
# Makes public/*.html from pages/*.txt: the first line is the title, "- " begins a list item, a blank line a paragraph.
set -eu
pages=$1
public=$2
mkdir -p "$public"

navigation() {
  for page in "$pages"/*.txt; do
    name=$(basename "$page" .txt)
    printf '<a href="%s.html">%s</a>\n' "$name" "$(head -n 1 "$page")"
  done
}

body() {
  awk '
    function escaped(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }
    function close_all() { if (open != "") print "</" open ">"; open = "" }
    NR == 1 { print "<h1>" escaped($0) "</h1>"; next }
    /^$/ { close_all(); next }
    /^- / { if (open != "ul") { close_all(); print "<ul>"; open = "ul" } print "<li>" escaped(substr($0, 3)) "</li>"; next }
    { if (open != "p") { close_all(); print "<p>"; open = "p" } print escaped($0) }
    END { close_all() }
  ' "$1"
}

links=$(navigation)
for page in "$pages"/*.txt; do
  output=$public/$(basename "$page" .txt).html
  {
    printf '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>%s</title>\n' "$(head -n 1 "$page")"
    printf '<link rel="stylesheet" href="style.css">\n<nav>%s</nav>\n<main>\n' "$links"
    body "$page"
    printf '</main>\n<footer>Made by the build on %s.</footer>\n</html>\n' "$(date -u +%F)"
  } >"$output"
  echo "made $output"
done
cp style.css "$public/"
echo ok >"$public/healthz"
