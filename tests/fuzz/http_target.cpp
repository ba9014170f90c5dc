// A request as any client may send it: its head, then its body's framing.
#include <cstdlib>
#include <string_view>

#include "api/body_framing.h"
#include "api/http_head.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

// In one piece, or in pieces of `step` bytes.
std::size_t takenBody(const api::HttpHead& head, std::string_view bytes, std::size_t step, bool& ended, bool& faulty) {
  api::BodyFraming framing(head);
  std::size_t taken = 0;
  for (std::size_t at = 0; at < bytes.size(); at += step) taken += framing.take(bytes.substr(at, step));
  ended = framing.ended();
  faulty = !framing.fault().empty();
  require(!(ended && faulty));
  require(framing.content() <= taken);
  return taken;
}

}  // namespace

int httpRequest(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(static_cast<const char*>(static_cast<const void*>(data)), size);
  api::HeadReader whole;
  const auto state = whole.read(bytes);
  api::HeadReader pieces;
  auto slowly = api::HeadState::more;
  for (std::size_t end = 1; end <= size && slowly == api::HeadState::more; end += 1 + end / 8) {
    slowly = pieces.read(bytes.substr(0, end));
  }
  if (slowly == api::HeadState::more) slowly = pieces.read(bytes);
  require(slowly == state);
  if (state == api::HeadState::refused) {
    require(whole.refusal().status >= 400 && whole.refusal().status < 600 && !whole.refusal().detail.empty());
    return 0;
  }
  if (state == api::HeadState::more) return 0;
  const auto& head = whole.head();
  require(head.taken <= size && head.bytes.ends_with("\r\n\r\n"));
  require(head.bytes.find('\0') == std::string::npos && head.target.find_first_of(" \r\n") == std::string::npos);
  const auto rest = bytes.substr(head.taken);
  bool ended = false;
  bool faulty = false;
  bool endedSlowly = false;
  bool faultySlowly = false;
  const auto taken = takenBody(head, rest, rest.size() + 1, ended, faulty);
  require(takenBody(head, rest, 3, endedSlowly, faultySlowly) == taken && ended == endedSlowly &&
          faulty == faultySlowly);
  require(taken <= rest.size() && (ended || faulty || taken == rest.size()));
  return 0;
}

}  // namespace cloister::fuzz
