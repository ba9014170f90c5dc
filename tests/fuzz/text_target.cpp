// Text and JSON: what comes in at the API and from nodes.
#include <Poco/Exception.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "api/body.h"
#include "api/json_syntax.h"
#include "api/problem.h"
#include "api/request.h"
#include "api/target.h"
#include "controlplane/model/json.h"
#include "controlplane/model/node_protocol.h"
#include "metering/base/batch_json.h"
#include "sandbox/base/utf8.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

std::string textOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

void require(bool holds) {
  if (!holds) std::abort();
}

// A document that its own writer made must come back, whatever bytes its strings hold.
template <typename Decode>
void document(const std::string& text, Decode decode) {
  try {
    const auto value = decode(text);
    const auto written = model::toJson(value);
    require(utf8::valid(written));
    const auto again = decode(written);
    require(again.refused.empty());
    require(model::toJson(again) == written);
  } catch (const Poco::Exception&) {
    // Refused, by name.
  }
}

}  // namespace

int utf8Text(const std::uint8_t* data, std::size_t size) {
  const auto text = textOf(data, size);
  const auto mended = utf8::mended(text);
  require(utf8::valid(mended));
  require(utf8::valid(text) == (mended == text));
  require(utf8::valid(utf8::printable(text)));
  require(utf8::valid(utf8::jsonText(text)));
  const std::size_t most = size == 0 ? 0 : data[0];
  const auto head = utf8::cut(text, most);
  require(head.size() <= most && text.starts_with(head));
  if (utf8::valid(text)) require(utf8::valid(head));
  if (head.size() < std::min(most, text.size())) require(most - head.size() < 4);
  utf8::Mender mender;
  std::string pieces;
  for (std::size_t at = 0; at < text.size(); at += most % 7 + 1) {
    const auto piece = mender.feed(std::string_view(text).substr(at, most % 7 + 1));
    require(utf8::valid(piece));
    pieces += piece;
  }
  require(pieces + mender.end() == mended);
  return 0;
}

int jsonBody(const std::uint8_t* data, std::size_t size) {
  const auto text = textOf(data, size);
  const bool good = !api::checkJsonSyntax(text);
  if (good) require(utf8::valid(text));
  try {
    auto body = api::Body(text);
    for (const auto& [name, value] : body.texts()) require(utf8::valid(name) && utf8::valid(value.value_or("")));
  } catch (const api::Problem& problem) {
    require(utf8::valid(api::toJson(problem, "rq-1")));
  }
  return 0;
}

int nodeWork(const std::uint8_t* data, std::size_t size) {
  document(textOf(data, size), model::nodeWorkFromJson);
  return 0;
}

int nodeStatus(const std::uint8_t* data, std::size_t size) {
  document(textOf(data, size), model::nodeStatusFromJson);
  return 0;
}

int usageBatch(const std::uint8_t* data, std::size_t size) {
  const auto batch = metering::usageBatchFromJson(textOf(data, size));
  if (!batch) return 0;
  const auto written = metering::toJson(*batch);
  const auto again = metering::usageBatchFromJson(written);
  require(again.ok() && metering::toJson(*again) == written);
  return 0;
}

int requestTarget(const std::uint8_t* data, std::size_t size) {
  const auto uri = textOf(data, size);
  try {
    const auto target = api::parseTarget(uri);
    for (const auto& part : target.segments) require(utf8::valid(part) && part.find('\0') == std::string::npos);
    for (const auto& [name, value] : target.query) {
      require(utf8::valid(name) && utf8::valid(value));
      (void)api::parseTime(value, 1'700'000'000'000'000);
    }
  } catch (const api::Problem& problem) {
    require(problem.status == 400 && utf8::valid(api::toJson(problem, "rq-1")));
  }
  return 0;
}

}  // namespace cloister::fuzz
