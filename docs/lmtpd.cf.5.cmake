# docs/lmtpd.cf.5.cmake -- makes the manual page lmtpd.cf(5) of configuration.md.
#
#   cmake -D LOWDOWN=PROGRAM -D VERSION=NUMBER -D DOCUMENTS=FOLDER -D FROM=FILE -D TO=FILE -P docs/lmtpd.cf.5.cmake
#
# The text is the same; sections are named and parted as man-pages(7) has it, and code is bold.

file(READ ${FROM} text)

string(REGEX REPLACE "^# Configuration\n" "# NAME\n\nlmtpd.cf - configuration of lmtpd(8)\n\n# DESCRIPTION\n" text "${text}")
string(REGEX MATCHALL "\n## [^\n]*" headings "${text}")
foreach(heading IN LISTS headings)
  string(REPLACE "\n## " "\n# " section "${heading}")
  string(TOUPPER "${section}" section)
  string(REPLACE "${heading}\n" "${section}\n" text "${text}")
endforeach()
string(REPLACE "\n### " "\n## " text "${text}")
string(APPEND text "\n# FILES\n\n`${DOCUMENTS}/docs` has the documents that are named here, `${DOCUMENTS}/examples` "
                   "the files of `contrib/`, with an example of lmtpd.cf.\n"
                   "\n# SEE ALSO\n\npostconf(5), pgsql_table(5), sqlite_table(5), lmtpctl(8), lmtpd(8)\n")

string(TIMESTAMP date "%Y-%m-%d" UTC)  # SOURCE_DATE_EPOCH, where that is set
set(markdown ${TO}.md)
file(WRITE ${markdown} "${text}")
execute_process(
  COMMAND ${LOWDOWN} -s -T man --parse-no-intraemph --out-no-smarty --nroff-no-groff --nroff-nolinks
          -M title=LMTPD.CF -M section=5 -M date=${date} -M "source=lmtpd ${VERSION}" ${markdown}
  OUTPUT_VARIABLE page
  COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${markdown})

string(REPLACE "\\fC" "\\fB" page "${page}")
# A section's name on its line, where mandb(8) looks for it. A paragraph begins there, anyway.
string(REGEX REPLACE "\n(\\.S[HS])\n([^\n]*)(\n\\.[LP]P)?" "\n\\1 \\2" page "${page}")
file(WRITE ${TO} "${page}")
