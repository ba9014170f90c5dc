#include <cstdlib>
#include <string_view>

#include "sandbox/base/launcher_protocol.h"
#include "tests/fuzz/targets.h"

namespace cloister::fuzz {
namespace {

std::string_view viewOf(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

template <typename Request>
void request(wire::Reader& reader, std::string_view whole) {
  Request value;
  if (decode(reader, value) && encode(value) != whole) std::abort();
}

void layer(launcher::Verb verb, wire::Reader& reader, std::string_view whole) {
  launcher::LayerRequest value;
  if (decode(reader, value) && encode(verb, value) != whole) std::abort();
}

template <typename Reply>
void reply(wire::Reader& reader, std::string_view fields) {
  Reply value;
  if (decode(reader, value) && std::string_view(encode(value)).substr(1) != fields) std::abort();
}

}  // namespace

int launcherRequest(const std::uint8_t* data, std::size_t size) {
  using launcher::Verb;
  const std::string_view whole = viewOf(data, size);
  wire::Reader reader(whole);
  const auto verb = static_cast<Verb>(reader.get<std::uint16_t>());
  switch (verb) {
    case Verb::launch:
      request<launcher::LaunchRequest>(reader, whole);
      break;
    case Verb::exec:
      request<launcher::ExecRequest>(reader, whole);
      break;
    case Verb::endExec:
      request<launcher::EndExecRequest>(reader, whole);
      break;
    case Verb::signal:
      request<launcher::SignalRequest>(reader, whole);
      break;
    case Verb::remove:
      request<launcher::RemoveRequest>(reader, whole);
      break;
    case Verb::tenantPut:
      request<launcher::TenantPutRequest>(reader, whole);
      break;
    case Verb::tenantRemove:
      request<launcher::TenantRemoveRequest>(reader, whole);
      break;
    case Verb::layerMount:
    case Verb::layerRelease:
      layer(verb, reader, whole);
      break;
    case Verb::denials:
      request<launcher::DenialsRequest>(reader, whole);
      break;
    case Verb::networkUsage:
      request<launcher::NetworkUsageRequest>(reader, whole);
      break;
    case Verb::recover:
    case Verb::posture:
    case Verb::inMemory:
      if (reader.finish() && encode(verb) != whole) std::abort();
      break;
  }
  return 0;
}

int launcherReply(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view fields = viewOf(data, size).substr(1);
  wire::Reader reader(fields);
  switch (data[0] % 8U) {
    case 0:
      reply<launcher::Launched>(reader, fields);
      break;
    case 1:
      reply<launcher::Executed>(reader, fields);
      break;
    case 2:
      reply<launcher::TenantGroups>(reader, fields);
      break;
    case 3:
      reply<launcher::Recovered>(reader, fields);
      break;
    case 4:
      reply<launcher::NetworkUsageReply>(reader, fields);
      break;
    case 5:
      reply<launcher::PostureReply>(reader, fields);
      break;
    case 6:
      reply<launcher::DenialsReply>(reader, fields);
      break;
    default: {
      Error error;
      (void)launcher::decodeFailure(reader, error);
    }
  }
  return 0;
}

}  // namespace cloister::fuzz
