// Whether a build command only installs Debian packages, and so reads nothing of the source.
//
// Yes for apt-get or apt with update, upgrade, install, remove, autoremove or clean, with plain options and plain names
// of packages, and for `rm -rf` of apt's own caches; several joined by && or ; too. Package scripts run in /. Whatever
// could mean more (a path, a quote, a variable, a substitution, a redirection, an option that names a file) is no: the
// command then counts as one that reads all of the source.
// Threads: reentrant. Failures: none.
#pragma once

#include <string_view>

namespace cloister::builds {

[[nodiscard]] bool onlyInstallsPackages(std::string_view command);

}  // namespace cloister::builds
