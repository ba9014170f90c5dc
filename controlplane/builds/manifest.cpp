#include "controlplane/builds/manifest.h"

#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <sstream>
#include <string_view>

#include "sandbox/base/identity.h"
#include "sandbox/base/utf8.h"

namespace cloister::builds {
namespace {

constexpr std::size_t kMaxCommands = 100;
constexpr std::size_t kMostShownName = 80;
constexpr std::size_t kMaxCommandBytes = 8UL * 1024;
constexpr std::size_t kMaxProcesses = 20;
constexpr std::size_t kMaxWritable = 32;
constexpr std::size_t kMaxPathBytes = 1024;
constexpr std::size_t kMaxPatterns = 100;
constexpr std::size_t kMaxPattern = 1024;
constexpr std::uint64_t kMinMemory = 16ULL << 20U;
constexpr std::uint64_t kMaxSize = 1ULL << 50U;

std::string asTyped(const std::string& field) {
  for (const auto* table : {"build.", "processes.", "http.", "limits."}) {
    const std::string_view prefix = table;
    if (field.starts_with(prefix))
      return "[" + std::string(prefix.substr(0, prefix.size() - 1)) + "] " + field.substr(prefix.size());
  }
  constexpr std::string_view kProcfile = "Procfile.";
  return field.starts_with(kProcfile) ? "Procfile, " + field.substr(kProcfile.size()) : field;
}

void allowKeys(const toml::table& table, const std::string& prefix, std::initializer_list<std::string_view> allowed) {
  for (const auto& [key, value] : table) {
    const std::string_view name = key.str();
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
      throw ManifestError(prefix + utf8::shortened(name, kMostShownName), "is not a key that Cloister knows");
    }
  }
}

std::string textOf(const toml::node& node, const std::string& field) {
  const auto* text = node.as_string();
  if (text == nullptr) throw ManifestError(field, "must be a string");
  return text->get();
}

const toml::table* tableOf(const toml::table& root, const char* name) {
  const auto* node = root.get(name);
  if (node == nullptr) return nullptr;
  const auto* table = node->as_table();
  if (table == nullptr) throw ManifestError(name, "must be a table");
  return table;
}

void checkCommand(const std::string& command, const std::string& field) {
  const auto first = command.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) throw ManifestError(field, "must not be empty");
  if (command.size() > kMaxCommandBytes) throw ManifestError(field, "is longer than 8 KiB");
  if (command.find('\0') != std::string::npos) throw ManifestError(field, "must not have a NUL character");
}

void addProcess(model::Manifest& manifest, const std::string& name, const std::string& command,
                const std::string& prefix) {
  const auto field = prefix + utf8::shortened(name, kMostShownName);
  if (!validLabel(name)) throw ManifestError(field, "a process type is a DNS label: a-z, 0-9 and -");
  if (name == "run" || name == "build") throw ManifestError(field, "is a name that Cloister keeps for itself");
  checkCommand(command, field);
  if (manifest.processes.size() >= kMaxProcesses)
    throw ManifestError(field, "is one process type too many: 20 at most");
  if (!manifest.processes.emplace(name, command).second) throw ManifestError(field, "is there twice");
}

// "a/b", without what changes nothing: "./" before and "/" behind.
std::string filePattern(std::string text, const std::string& field) {
  while (text.starts_with("./")) text.erase(0, 2);
  while (text.ends_with('/') && text.size() > 1) text.pop_back();
  if (text.empty() || text.size() > kMaxPattern) throw ManifestError(field, "must name a file or a directory");
  if (text.front() == '/') throw ManifestError(field, "\"" + text + "\" must be relative to the source's root");
  if (text.find('\0') != std::string::npos) throw ManifestError(field, "must not have a NUL character");
  const auto whole = "/" + text + "/";
  if (whole.find("/../") != std::string::npos || whole.find("/./") != std::string::npos ||
      whole.find("//") != std::string::npos) {
    throw ManifestError(field, "\"" + text + "\" must have no \"..\", \".\" or \"//\"");
  }
  return text;
}

// { run = "npm ci", files = ["package.json", "package-lock.json"] }
std::string readStep(const toml::table& table, model::Manifest& manifest, std::size_t index, const std::string& field) {
  allowKeys(table, field + ".", {"run", "files"});
  const auto* run = table.get("run");
  if (run == nullptr) throw ManifestError(field + ".run", "is missing");
  const auto* files = table.get("files");
  if (files == nullptr) return textOf(*run, field + ".run");
  const auto* list = files->as_array();
  if (list == nullptr || list->size() > kMaxPatterns) {
    throw ManifestError(field + ".files", "must be a list of at most 100 files or directories");
  }
  auto& patterns = manifest.buildFiles[index];
  for (const auto& item : *list) patterns.push_back(filePattern(textOf(item, field + ".files"), field + ".files"));
  return textOf(*run, field + ".run");
}

void readBuild(const toml::table& table, model::Manifest& manifest) {
  allowKeys(table, "build.", {"commands"});
  const auto* node = table.get("commands");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) throw ManifestError("build.commands", "must be a list of commands");
  if (list->size() > kMaxCommands) throw ManifestError("build.commands", "has more than 100 commands");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto field = "build.commands[" + std::to_string(i) + "]";
    const auto* step = list->get(i)->as_table();
    auto command = step == nullptr ? textOf(*list->get(i), field) : readStep(*step, manifest, i, field);
    checkCommand(command, field);
    manifest.buildCommands.push_back(std::move(command));
  }
}

void readHttp(const toml::table& table, model::Manifest& manifest) {
  allowKeys(table, "http.", {"health", "settle"});
  if (const auto* settle = table.get("settle")) {
    manifest.settleMillis = parseSettle(textOf(*settle, "http.settle"), "http.settle");
  }
  const auto* node = table.get("health");
  if (node == nullptr) return;
  const auto path = textOf(*node, "http.health");
  // It becomes part of a request line.
  const auto plain = [](char c) { return c > ' ' && c < '\x7f'; };
  if (path.empty() || path.front() != '/' || path.size() > 1024 || !std::all_of(path.begin(), path.end(), plain)) {
    throw ManifestError("http.health", "must be a path like \"/healthz\"");
  }
  manifest.healthPath = path;
}

// One spelling a directory: nothing in the path may lead elsewhere than it reads.
bool plainDirectory(const std::string& path) {
  if (path.size() < 2 || path.size() > kMaxPathBytes || path.front() != '/' || path.back() == '/') return false;
  const auto control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; };
  if (std::any_of(path.begin(), path.end(), control)) return false;
  const auto whole = path + "/";
  return whole.find("//") == std::string::npos && whole.find("/./") == std::string::npos &&
         whole.find("/../") == std::string::npos;
}

void readWrites(const toml::table& root, model::Manifest& manifest) {
  if (const auto* node = root.get("immutable")) {
    const auto* flag = node->as_boolean();
    if (flag == nullptr) throw ManifestError("immutable", "must be true or false");
    manifest.immutable = flag->get();
  }
  const auto* node = root.get("writable");
  if (node == nullptr) return;
  const auto* list = node->as_array();
  if (list == nullptr) throw ManifestError("writable", "must be a list of directories, as in [\"/app/uploads\"]");
  if (!manifest.immutable) throw ManifestError("writable", "names exceptions from immutable = true, which is not set");
  if (list->size() > kMaxWritable) throw ManifestError("writable", "has more than 32 directories");
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto field = "writable[" + std::to_string(i) + "]";
    auto path = textOf(*list->get(i), field);
    if (!plainDirectory(path)) throw ManifestError(field, "must be an absolute path like \"/app/uploads\"");
    manifest.writable.push_back(std::move(path));
  }
}

std::uint64_t sizeOf(const toml::node& node, const std::string& field) {
  if (const auto* bytes = node.as_integer()) {
    if (bytes->get() <= 0) throw ManifestError(field, "must be more than zero");
    return parseSize(std::to_string(bytes->get()), field);
  }
  return parseSize(textOf(node, field), field);
}

// "0.5" or 0.5 cores, as thousandths.
std::uint64_t cpuOf(const toml::node& node) {
  double cores = 0;
  if (const auto number = node.value<double>()) {
    cores = *number;
  } else {
    const auto text = textOf(node, "limits.cpu");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cores);
    if (error != std::errc{} || end != text.data() + text.size())
      throw ManifestError("limits.cpu", "must be a number of cores");
  }
  if (!(cores >= 0.01 && cores <= 1024)) throw ManifestError("limits.cpu", "must be 0.01 to 1024 cores");
  return static_cast<std::uint64_t>(cores * 1000 + 0.5);
}

void readLimits(const toml::table& table, model::Manifest& manifest) {
  allowKeys(table, "limits.", {"memory", "cpu", "disk", "pids"});
  if (const auto* node = table.get("memory")) {
    manifest.memoryBytes = sizeOf(*node, "limits.memory");
    if (manifest.memoryBytes < kMinMemory) throw ManifestError("limits.memory", "must be 16M at least");
  }
  if (const auto* node = table.get("disk")) {
    manifest.diskBytes = sizeOf(*node, "limits.disk");
    if (manifest.diskBytes < (1ULL << 20U)) throw ManifestError("limits.disk", "must be 1M at least");
  }
  if (const auto* node = table.get("cpu")) manifest.cpuMillis = cpuOf(*node);
  if (const auto* node = table.get("pids")) {
    const auto* pids = node->as_integer();
    if (pids == nullptr || pids->get() < 4 || pids->get() > 1'000'000) {
      throw ManifestError("limits.pids", "must be an integer from 4 to 1000000");
    }
    manifest.pids = static_cast<std::uint64_t>(pids->get());
  }
}

// A file that a person wrote: UTF-8, with or without the mark that some editors put in front.
std::string textOfFile(const std::string& bytes, const char* name) {
  if (bytes.size() > kMaxManifestBytes) throw ManifestError(name, "is larger than 64 KiB");
  const auto good = utf8::goodBytes(bytes);
  if (good == bytes.size()) return std::string(utf8::withoutMark(bytes));
  if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF"))
    throw ManifestError(name, "is UTF-16; save it as UTF-8");
  const auto line = std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(good), '\n') + 1;
  throw ManifestError(name, "line " + std::to_string(line) + " is not UTF-8; save the file as UTF-8");
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(kBlank) - first + 1));
}

model::Manifest readToml(const std::string& bytes) {
  const auto text = textOfFile(bytes, "cloister.toml");
  toml::table root;
  try {
    root = toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw ManifestError("cloister.toml",
                        "line " + std::to_string(error.source().begin.line) + ": " + std::string(error.description()));
  }
  allowKeys(root, "", {"base", "immutable", "writable", "build", "processes", "http", "limits"});
  model::Manifest manifest;
  if (const auto* base = root.get("base")) manifest.base = textOf(*base, "base");
  if (manifest.base != "debian-12") throw ManifestError("base", "is unknown; there is \"debian-12\"");
  readWrites(root, manifest);
  if (const auto* build = tableOf(root, "build")) readBuild(*build, manifest);
  if (const auto* http = tableOf(root, "http")) readHttp(*http, manifest);
  if (const auto* limits = tableOf(root, "limits")) readLimits(*limits, manifest);
  if (const auto* processes = tableOf(root, "processes")) {
    for (const auto& [key, value] : *processes) {
      const std::string name(key.str());
      addProcess(manifest, name, textOf(value, "processes." + name), "processes.");
    }
  }
  return manifest;
}

}  // namespace

ManifestError::ManifestError(std::string field, const std::string& detail)
    : std::runtime_error(asTyped(field) + ": " + detail), field_(std::move(field)), detail_(detail) {}

model::Manifest parseManifest(const std::string& toml) {
  auto manifest = readToml(toml);
  if (manifest.processes.empty())
    throw ManifestError("processes", "must name one process type at least, as in web = \"...\"");
  return manifest;
}

model::Manifest parseProcfile(const std::string& bytes) {
  const auto text = textOfFile(bytes, "Procfile");
  model::Manifest manifest;
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto content = trimmed(line);
    if (content.empty() || content.front() == '#') continue;
    const auto colon = content.find(':');
    if (colon == std::string::npos) {
      throw ManifestError("Procfile", "line " + std::to_string(number) + " is not \"name: command\"");
    }
    addProcess(manifest, trimmed(content.substr(0, colon)), trimmed(content.substr(colon + 1)), "Procfile.");
  }
  if (manifest.processes.empty()) throw ManifestError("Procfile", "names no process type");
  return manifest;
}

model::Manifest manifestOf(const std::optional<std::string>& toml, const std::optional<std::string>& procfile) {
  if (!toml && !procfile)
    throw ManifestError("cloister.toml", "is missing at the root of the source, and so is a Procfile");
  if (!toml) return parseProcfile(*procfile);
  if (!procfile) return parseManifest(*toml);
  auto manifest = readToml(*toml);
  if (manifest.processes.empty()) manifest.processes = parseProcfile(*procfile).processes;
  return manifest;
}

std::int64_t parseSettle(const std::string& text, const std::string& field) {
  constexpr std::int64_t kMost = 300'000;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  if (error != std::errc{} || factor == 0 || number < 0) {
    throw ManifestError(field, "must be a time like \"10s\" or \"500ms\"");
  }
  if (number > kMost / factor) throw ManifestError(field, "must be 5 minutes at most");
  return number * factor;
}

std::uint64_t parseSize(const std::string& text, const std::string& field) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  unsigned shift = 0;
  if (unit == "K" || unit == "KiB") {
    shift = 10;
  } else if (unit == "M" || unit == "MiB") {
    shift = 20;
  } else if (unit == "G" || unit == "GiB") {
    shift = 30;
  } else if (unit == "T" || unit == "TiB") {
    shift = 40;
  } else if (!unit.empty()) {
    throw ManifestError(field, "must be a size like \"256M\" or \"1G\"");
  }
  if (error != std::errc{}) throw ManifestError(field, "must be a size like \"256M\" or \"1G\"");
  if (number == 0) throw ManifestError(field, "must be more than zero");
  if (number > (kMaxSize >> shift)) throw ManifestError(field, "is too large");
  return number << shift;
}

}  // namespace cloister::builds
