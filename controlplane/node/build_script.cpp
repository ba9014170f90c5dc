#include "controlplane/node/build_script.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "controlplane/node/mebibytes.h"
#include "controlplane/node/runtime.h"
#include "sandbox/base/utf8.h"

namespace cloister::node {
namespace {

constexpr std::string_view kMarkStart = "\x1e";  // record separator
constexpr std::size_t kMaxStepDigits = 6;
constexpr std::size_t kMaxShownCommand = 200;
constexpr std::uint64_t kNotableShare = 8;  // an eighth of the memory
// An app is one user, whom what packages set up for users of their own serves nobody else: their files wherever they
// lie, what only their groups read, the directories that they write in, and logs, sockets and pid files of root's. Of
// Debian's own groups those of its users count (www-data), not shadow or tty. What the package manager keeps is not
// among it: a file of a layer below is copied out of it when its owner is set. What they would have made at a host's
// boot and a service's start, by tmpfiles.d and in units, is made first.
constexpr std::string_view kHandOverPackages =
    R"(for file in /usr/lib/tmpfiles.d/*.conf /etc/tmpfiles.d/*.conf; do
  [ -f "$file" ] || continue
  while read -r kind path mode rest; do
    case $kind:$path in
      *%*) ;;
      [dD]*:/run/?* | [dD]*:/var/run/?*)
        mkdir -p "$path"
        case $mode in [0-7]*) chmod "$mode" "$path" ;; esac ;;
    esac
  done <"$file"
done
for file in /lib/systemd/system/*.service /etc/systemd/system/*.service; do
  [ -f "$file" ] || continue
  while IFS='=' read -r key names; do
    case $key in
      RuntimeDirectory) place=/run ;;
      StateDirectory) place=/var/lib ;;
      CacheDirectory) place=/var/cache ;;
      LogsDirectory) place=/var/log ;;
      *) continue ;;
    esac
    for name in $names; do
      case $name in *%* | *..*) ;; *) mkdir -p "$place/${name%%:*}" ;; esac
    done
  done <"$file"
done
kept='-path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache/apt -o -path /var/cache/debconf'
each() {  # FILE FIELD LEAST OPTION: find's condition for the ids from LEAST to 999 that stand in the file's field
  cut -d : -f "$2" "$1" | sort -un | while read -r id; do
    if [ "$id" -ge "$3" ] && [ "$id" -lt 1000 ]; then printf ' -o %s %s' "$4" "$id"; fi
  done
}
owners=$(each /etc/passwd 3 1 -user)
groups=$(each /etc/passwd 4 1 -group)$(each /etc/group 3 100 -group)
[ -z "$owners" ] || find / -xdev '(' $kept ')' -prune -o '(' ${owners# -o} ')' -exec chown -h app '{}' +
[ -z "$groups" ] || find / -xdev '(' $kept ')' -prune -o '(' ${groups# -o} ')' -exec chgrp -h app '{}' +
for directory in /run /var/cache /var/lib /var/log /var/spool; do
  [ ! -d "$directory" ] || find "$directory" -xdev '(' $kept ')' -prune -o -type d -user root -exec chown app '{}' +
done
for directory in /run /var/log; do
  [ ! -d "$directory" ] || find "$directory" -xdev ! -type d -user root -exec chown -h app '{}' +
done
)";

std::string mark(const std::string& nonce) {
  return std::string(kMarkStart) + nonce + ":";
}

}  // namespace

std::string shellQuoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::optional<std::string> buildScript(const std::vector<std::string>& commands, const std::string& nonce,
                                       const BuildPart& part) {
  std::string script = "step() { printf '\\036%s:%s\\n' " + shellQuoted(nonce) + " \"$1\"; }\n";
  script +=
      "mkdir -p /app \"$HOME\"\n"
      "[ \"$HOME\" = / ] || chown root:root \"$HOME\"\n"  // pip and others use no cache in a stranger's home
      "cd /app\n";
  if (part.source) script += "step 0\ntar -xozf - -C /app\n";
  script += "exec </dev/null\n";
  for (std::size_t i = part.first; i < part.first + part.count; ++i) {
    const auto& command = commands.at(i);
    if (command.find('\0') != std::string::npos) return std::nullopt;
    script += "step " + std::to_string(i + 1) + "\n/bin/sh -ec " + shellQuoted(command) + "\n";
  }
  // What a build names /root itself, its home elsewhere, is the app's too.
  const std::string give = part.stepped
                               ? "find \"$directory\" '(' ! -user app -o ! -group app ')' -exec chown -h app:app '{}' +"
                               : "chown -Rh app:app \"$directory\"";
  script += "step " + std::to_string(commands.size() + 1) +
            "\n"
            "for directory in /app /root \"$HOME\"; do\n"
            "  [ ! -d \"$directory\" ] || [ \"$directory\" = / ] || " +
            give + "\ndone\n";
  if (!commands.empty() && part.first + part.count == commands.size()) script += kHandOverPackages;
  return script;
}

std::string memoryUsedUp(std::uint64_t limit, const std::optional<streams::Space>& upper) {
  std::string text = "the build's memory of " + mebibytes(limit) + " is used up";
  if (upper && upper->inMemory && upper->usedBytes > limit / kNotableShare) {
    text += ", " + mebibytes(upper->usedBytes) + " of it by files, which this host keeps in memory";
  }
  return text;
}

std::vector<std::string> buildEnvironment(const model::DesiredBuild& build) {
  std::map<std::string, std::string> variables{
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", kHome},
      {"USER", "root"},
      {"LANG", "C.UTF-8"},
      {"CI", "1"},
      {"TERM", "dumb"},
      {"DEBIAN_FRONTEND", "noninteractive"},
      {"SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"},
      {"NODE_EXTRA_CA_CERTS", "/etc/ssl/certs/ca-certificates.crt"},
      {"REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt"},
      {"PIP_DISABLE_PIP_VERSION_CHECK", "1"},
      {"PIP_NO_CACHE_DIR", "1"},
      {"npm_config_cache", "/tmp/npm"},
      {"npm_config_update_notifier", "false"},
  };
  for (const auto& [key, value] : build.environment) variables[key] = value;
  std::vector<std::string> list;
  for (const auto& [key, value] : variables) list.push_back(key + "=" + value);
  return list;
}

StepFilter::StepFilter(std::vector<std::string> commands, const std::string& nonce)
    : commands_(std::move(commands)), mark_(mark(nonce)) {}

void StepFilter::begin(int step, std::string& shown) {
  step_ = step;
  if (lineOpen_) shown += '\n';
  lineOpen_ = afterReturn_ = false;
  if (step == 0) shown += "Unpacking the source\n";
  if (step > 0 && static_cast<std::size_t>(step) <= commands_.size()) {
    shown += "$ " + commands_[static_cast<std::size_t>(step) - 1] + "\n";
  }
}

void StepFilter::show(std::string_view text, std::string& shown) {
  for (const char c : text) {
    if (c == '\r') {
      if (!lineOpen_) continue;
      shown += '\n';
      lineOpen_ = false;
      afterReturn_ = true;
    } else if (c == '\n') {
      if (!std::exchange(afterReturn_, false)) shown += '\n';
      lineOpen_ = false;
    } else {
      shown += c;
      lineOpen_ = true;
      afterReturn_ = false;
    }
  }
}

std::string StepFilter::feed(std::string_view bytes) {
  held_ += bytes;
  std::string shown;
  for (;;) {
    const std::size_t at = held_.find(mark_);
    if (at == std::string::npos) break;
    const std::size_t digits = at + mark_.size();
    const std::size_t end = held_.find('\n', digits);
    if (end == std::string::npos && held_.size() - digits <= kMaxStepDigits) {
      show(std::string_view(held_).substr(0, at), shown);
      held_.erase(0, at);
      return shown;
    }
    int step = -1;
    const char* last = held_.data() + std::min(end, held_.size());
    const auto [stop, code] = std::from_chars(held_.data() + digits, last, step);
    show(std::string_view(held_).substr(0, at), shown);
    if (end != std::string::npos && code == std::errc() && stop == last && step >= 0) {
      begin(step, shown);
      held_.erase(0, end + 1);
    } else {
      show(mark_, shown);
      held_.erase(0, digits);
    }
  }
  // A tail that may be the beginning of a mark waits for the rest.
  std::size_t keep = std::min(held_.size(), mark_.size() - 1);
  while (keep > 0 && !std::string_view(mark_).starts_with(std::string_view(held_).substr(held_.size() - keep))) --keep;
  show(std::string_view(held_).substr(0, held_.size() - keep), shown);
  held_.erase(0, held_.size() - keep);
  return shown;
}

std::string StepFilter::end() {
  std::string shown;
  show(std::exchange(held_, {}), shown);
  return shown;
}

std::string StepFilter::failureOf(const std::string& status) const {
  const auto space = status.find(' ');
  const std::string number = space == std::string::npos ? "" : status.substr(space + 1);
  std::string how = "ended without a status";
  if (status.starts_with("exit ")) how = "exited with " + number;
  if (status.starts_with("signal ")) how = "was killed by signal " + number;
  if (step_ < 0) return "the build " + how + " before it began";
  if (step_ == 0) return "unpacking the source " + how;
  if (static_cast<std::size_t>(step_) > commands_.size())
    return "handing /app, the home directory and what packages left to the app's user " + how;
  const auto command = utf8::shortened(commands_[static_cast<std::size_t>(step_) - 1], kMaxShownCommand);
  return "command " + std::to_string(step_) + " `" + command + "` " + how;
}

}  // namespace cloister::node
