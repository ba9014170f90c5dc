// What a tenant's source and its processes say: archive, manifest, ignore files, output, health answers.
#include <Poco/Exception.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "api/cli/ignore.h"
#include "api/cli/output.h"
#include "controlplane/builds/archive.h"
#include "controlplane/builds/manifest.h"
#include "controlplane/model/json.h"
#include "controlplane/node/build_script.h"
#include "controlplane/node/health.h"
#include "controlplane/node/log_pump.h"
#include "controlplane/node/session_channel.h"
#include "sandbox/base/utf8.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

std::string_view viewOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

int manifest(const std::uint8_t* data, std::size_t size) {
  const std::string text(viewOf(data, size));
  for (const auto& parse : {&builds::parseManifest, &builds::parseProcfile}) {
    try {
      const auto parsed = parse(text);
      require(!parsed.processes.empty());
      const auto written = model::toJson(parsed);
      require(utf8::valid(written) && model::toJson(model::manifestFromJson(written)) == written);
    } catch (const builds::ManifestError& error) {
      require(utf8::valid(error.what()));
    }
  }
  return 0;
}

int sourceArchive(const std::uint8_t* data, std::size_t size) {
  constexpr builds::ArchiveLimits kLimits{.entries = 1'000, .unpackedBytes = 4ULL << 20U};
  try {
    const auto contents = builds::inspectArchiveBytes(viewOf(data, size), kLimits);
    require(contents.entries <= kLimits.entries && contents.unpackedBytes <= kLimits.unpackedBytes);
  } catch (const builds::ArchiveError& error) {
    require(utf8::valid(error.entry()));
  }
  return 0;
}

// The patterns up to the first NUL, then a path.
int ignoreFile(const std::uint8_t* data, std::size_t size) {
  const auto text = viewOf(data, size);
  const auto end = std::min(text.find('\0'), text.size());
  cli::IgnoreRules rules;
  const auto before = rules.size();
  rules.add(text.substr(0, end));
  const std::string path(text.substr(std::min(end + 1, text.size())));
  (void)rules.ignored(path, cli::EntryKind::file);
  (void)rules.ignored(path, cli::EntryKind::directory);
  rules.leave(before);
  require(rules.size() == before);
  return 0;
}

// Output of a build and of an app; the first byte says how it is cut on its way.
int processOutput(const std::uint8_t* data, std::size_t size) {
  const auto text = viewOf(data, size);
  const std::size_t piece = size == 0 ? 1 : data[0] + 1U;
  node::StepFilter filter({"one", "two \xC3\xA9"}, "n");
  std::string shown;
  for (std::size_t at = 0; at < text.size(); at += piece) shown += filter.feed(text.substr(at, piece));
  shown += filter.end();
  require(utf8::valid(filter.failureOf("exit 1")));
  require(utf8::valid(cli::printable(cli::lastDrawn(shown), cli::Colour::keep)));
  for (const auto unfinished : {node::Unfinished::leave, node::Unfinished::flush}) {
    const auto split = node::splitLines(text, unfinished);
    require(split.taken <= text.size());
    if (unfinished == node::Unfinished::flush) require(split.taken == text.size());
    for (const auto& line : split.lines) require(utf8::valid(line));
  }
  return 0;
}

int healthAnswer(const std::uint8_t* data, std::size_t size) {
  std::string reason;
  const auto answer = node::judge(viewOf(data, size), reason);
  require((answer == node::Answer::bad) == !reason.empty());
  require(utf8::valid(reason));
  return 0;
}

int sessionFrame(const std::uint8_t* data, std::size_t size) {
  const auto frame = node::parseFrame(viewOf(data, size));
  require(frame.data.size() <= size);
  return 0;
}

}  // namespace cloister::fuzz
