#include "sandbox/base/launcher_protocol.h"

#include <algorithm>
#include <cerrno>
#include <functional>

#include <gtest/gtest.h>

namespace cloister::launcher {
namespace {

constexpr std::size_t kVerbBytes = 2;
constexpr std::size_t kStatusBytes = 1;

LaunchRequest launchRequest() {
  LaunchRequest request;
  request.instance = "web-1-0";
  request.tenant = 7;
  request.confinement = Confinement::build;
  request.layers = {std::string(64, 'a'), std::string(64, 'b')};
  request.freezeOf = "b-1";
  request.hostname = "web";
  request.argv = {"/bin/sh", "-c", "true"};
  request.environment = {"PORT=8080", "EMPTY="};
  request.workingDirectory = "/app";
  request.address = subnetOf(7) + 2;
  request.limits = {.memoryBytes = 1, .cpuMillis = 2, .pids = 3, .diskBytes = 4, .inodes = 5, .openFiles = 6};
  request.otherCalls = OtherCalls::refuse;
  request.calls = callSet({0, 63, 64, kMostCalls - 1});
  request.writes = Writes::listed;
  request.writable = {"/app/uploads", "/var/lib/x"};
  return request;
}

Launched launched() {
  return {.instance = "web-1-0",
          .tenant = 7,
          .pid = 4711,
          .cgroupInode = 0xffffffffffU,
          .descriptors = {DescriptorKind::pid, DescriptorKind::netns, DescriptorKind::unified},
          .stages = {1, 2, 0xffffffffU}};
}

struct Codec {
  const char* name;
  std::string bytes;  // behind verb or status
  std::function<bool(wire::Reader&)> decodes;
  std::function<std::string(wire::Reader&)> again;  // decoded and encoded anew
};

template <typename T>
Codec codec(const char* name, const std::string& bytes, std::size_t skip) {
  return {name, bytes.substr(skip),
          [](wire::Reader& reader) {
            T value;
            return decode(reader, value);
          },
          [skip](wire::Reader& reader) {
            T value;
            return decode(reader, value) ? encode(value).substr(skip) : std::string("undecodable");
          }};
}

std::vector<Codec> codecs() {
  return {
      codec<LaunchRequest>("launch", encode(launchRequest()), kVerbBytes),
      codec<ExecRequest>(
          "exec", encode(ExecRequest{"i", "x", {"sh"}, {"A=b"}, "/app", {24, 80}, Writes::listed, {"/a"}}), kVerbBytes),
      codec<EndExecRequest>("end of an exec", encode(EndExecRequest{"i", "x"}), kVerbBytes),
      codec<SignalRequest>("signal", encode(SignalRequest{"i", 15, SignalTarget::thaw}), kVerbBytes),
      codec<RemoveRequest>("remove", encode(RemoveRequest{"i"}), kVerbBytes),
      codec<TenantPutRequest>("tenant put", encode(TenantPutRequest{3, {1, 2, 3, 4, 5, 6, 7, 8}, Egress::none}),
                              kVerbBytes),
      codec<TenantRemoveRequest>("tenant remove", encode(TenantRemoveRequest{3}), kVerbBytes),
      codec<Launched>("launched", encode(launched()), kStatusBytes),
      codec<Executed>("executed", encode(Executed{9}), kStatusBytes),
      codec<TenantGroups>("tenant groups", encode(TenantGroups{1, {DescriptorKind::pids}}), kStatusBytes),
      codec<Recovered>("recovered", encode(Recovered{{launched(), launched()}}), kStatusBytes),
      codec<NetworkUsageReply>("network usage", encode(NetworkUsageReply{{{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}}}),
                               kStatusBytes),
      codec<NetworkUsageRequest>("network usage request", encode(NetworkUsageRequest{7}), kVerbBytes),
      codec<DenialsRequest>("denials request", encode(DenialsRequest{7}), kVerbBytes),
      codec<DenialsReply>("denials", encode(DenialsReply{{{8, 3, "open", "/x", "sh"}, {9, 3, "mount", "", ""}}}),
                          kStatusBytes),
      codec<PostureReply>("posture", encode(PostureReply{{{"seccomp", CheckState::off, "why"}}}), kStatusBytes),
  };
}

TEST(LauncherProtocol, everyMessageComesBackAsItWent) {
  for (const auto& one : codecs()) {
    wire::Reader reader(one.bytes);
    EXPECT_EQ(one.again(reader), one.bytes) << one.name;
  }
  const std::string bytes = encode(launchRequest());
  wire::Reader whole(bytes);
  EXPECT_EQ(whole.get<std::uint16_t>(), static_cast<std::uint16_t>(Verb::launch));
  LaunchRequest decoded;
  ASSERT_TRUE(decode(whole, decoded));
  EXPECT_EQ(decoded.environment, launchRequest().environment);
  EXPECT_EQ(decoded.limits.openFiles, 6U);
  EXPECT_EQ(decoded.address, launchRequest().address);
  EXPECT_EQ(decoded.calls, launchRequest().calls);
}

TEST(LauncherProtocol, aMessageCutAtAnyByteIsRefused) {
  for (const auto& one : codecs()) {
    for (std::size_t size = 0; size < one.bytes.size(); ++size) {
      wire::Reader reader(std::string_view(one.bytes).substr(0, size));
      EXPECT_FALSE(one.decodes(reader)) << one.name << " at " << size;
    }
  }
}

TEST(LauncherProtocol, trailingBytesAreRefused) {
  for (const auto& one : codecs()) {
    const std::string longer = one.bytes + '\0';
    wire::Reader reader(longer);
    EXPECT_FALSE(one.decodes(reader)) << one.name;
  }
}

// Whatever a flipped byte means, decoding ends, and what decodes encodes to the same bytes.
TEST(LauncherProtocol, flippedBytesAreRefusedOrMeanExactlyThemselves) {
  for (const auto& one : codecs()) {
    for (std::size_t at = 0; at < one.bytes.size(); ++at) {
      for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
        std::string bytes = one.bytes;
        bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ flip);
        wire::Reader probe(bytes);
        if (!one.decodes(probe)) continue;
        wire::Reader reader(bytes);
        EXPECT_EQ(one.again(reader), bytes) << one.name << " at " << at;
      }
    }
  }
}

template <typename T>
bool accepts(const std::string& bytes, std::size_t skip) {
  wire::Reader reader(std::string_view(bytes).substr(skip));
  T value;
  return decode(reader, value);
}

TEST(LauncherProtocol, launchFieldsHaveLimits) {
  struct Case {
    const char* name;
    std::function<void(LaunchRequest&)> make;
    bool accepted;
  };
  const std::vector<Case> cases = {
      {"16384 arguments", [](auto& r) { r.argv.assign(16'384, "a"); }, true},
      {"16385 arguments", [](auto& r) { r.argv.assign(16'385, "a"); }, false},
      {"1024 variables", [](auto& r) { r.environment.assign(1024, "A=b"); }, true},
      {"1025 variables", [](auto& r) { r.environment.assign(1025, "A=b"); }, false},
      {"8 layers", [](auto& r) { r.layers.assign(8, std::string(64, 'a')); }, true},
      {"9 layers", [](auto& r) { r.layers.assign(9, std::string(64, 'a')); }, false},
      {"a layer name of 65", [](auto& r) { r.layers = {std::string(65, 'a')}; }, false},
      {"instance of 64", [](auto& r) { r.instance.assign(64, 'a'); }, true},
      {"instance of 65", [](auto& r) { r.instance.assign(65, 'a'); }, false},
      {"freezeOf of 65", [](auto& r) { r.freezeOf.assign(65, 'a'); }, false},
      {"hostname of 65", [](auto& r) { r.hostname.assign(65, 'a'); }, false},
      {"directory of 4096", [](auto& r) { r.workingDirectory.assign(4096, 'a'); }, true},
      {"directory of 4097", [](auto& r) { r.workingDirectory.assign(4097, 'a'); }, false},
      {"otherCalls beyond the last", [](auto& r) { r.otherCalls = static_cast<OtherCalls>(3); }, false},
      {"writes beyond the last", [](auto& r) { r.writes = static_cast<Writes>(2); }, false},
      {"32 writable paths", [](auto& r) { r.writable.assign(32, "/a"); }, true},
      {"33 writable paths", [](auto& r) { r.writable.assign(33, "/a"); }, false},
      {"a writable path of 4097", [](auto& r) { r.writable = {std::string(4097, 'a')}; }, false},
      {"confinement beyond the last", [](auto& r) { r.confinement = static_cast<Confinement>(4); }, false},
  };
  for (const auto& [name, make, accepted] : cases) {
    LaunchRequest request = launchRequest();
    make(request);
    EXPECT_EQ(accepts<LaunchRequest>(encode(request), kVerbBytes), accepted) << name;
  }
}

TEST(LauncherProtocol, othersHaveLimitsToo) {
  EXPECT_FALSE(accepts<SignalRequest>(encode(SignalRequest{"i", 1, static_cast<SignalTarget>(4)}), kVerbBytes));
  EXPECT_FALSE(accepts<RemoveRequest>(encode(RemoveRequest{std::string(65, 'a')}), kVerbBytes));
  EXPECT_FALSE(accepts<LayerRequest>(encode(Verb::layerMount, LayerRequest{std::string(65, 'a')}), kVerbBytes));
  EXPECT_TRUE(accepts<LayerRequest>(encode(Verb::layerRelease, LayerRequest{std::string(64, 'a')}), kVerbBytes));
  EXPECT_FALSE(accepts<TenantPutRequest>(encode(TenantPutRequest{1, {}, static_cast<Egress>(9)}), kVerbBytes));
  EXPECT_FALSE(accepts<Launched>(encode(Launched{"i", 1, 1, 1, {static_cast<DescriptorKind>(200)}, {}}), kStatusBytes));
  EXPECT_FALSE(
      accepts<Launched>(encode(Launched{"i", 1, 1, 1, std::vector(17, DescriptorKind::cpu), {}}), kStatusBytes));
  const std::vector<std::uint32_t> stages(kLaunchStages + 1, 1);
  EXPECT_FALSE(accepts<Launched>(encode(Launched{"i", 1, 1, 1, {}, stages}), kStatusBytes));
  EXPECT_TRUE(accepts<Recovered>(encode(Recovered{std::vector(kRecoveredPerMessage, launched())}), kStatusBytes));
  EXPECT_FALSE(accepts<Recovered>(encode(Recovered{std::vector(kRecoveredPerMessage + 1, launched())}), kStatusBytes));
  EXPECT_FALSE(accepts<PostureReply>(encode(PostureReply{{{"n", static_cast<CheckState>(3), ""}}}), kStatusBytes));
}

TEST(LauncherProtocol, theLargestRepliesFitOneMessage) {
  const NetworkUsageReply all{std::vector<NetworkUsage>(kUsagesPerReply)};
  const std::string bytes = encode(all);
  EXPECT_LE(bytes.size(), wire::kMaxMessage);
  EXPECT_TRUE(accepts<NetworkUsageReply>(bytes, kStatusBytes));
  Launched longest{std::string(64, 'i'),
                   1,
                   1,
                   1,
                   std::vector(16, DescriptorKind::pid),
                   std::vector<std::uint32_t>(kLaunchStages, 1)};
  EXPECT_LE(encode(Recovered{std::vector(kRecoveredPerMessage, longest)}).size(), wire::kMaxMessage);
}

TEST(LauncherProtocol, failuresCarryTheWholeErrorAndCutEndlessText) {
  const Error error{"rootfs", "mount", "/upper", EACCES};
  const std::string bytes = encodeFailure(error);
  wire::Reader reader(bytes);
  EXPECT_EQ(reader.get<std::uint8_t>(), 1);
  Error decoded;
  ASSERT_TRUE(decodeFailure(reader, decoded));
  EXPECT_EQ(decoded.message(), error.message());

  const std::string longBytes =
      encodeFailure({std::string(9'000, 's'), std::string(9'000, 'o'), std::string(9'000, 'p'), 1});
  wire::Reader longReader(std::string_view(longBytes).substr(kStatusBytes));
  ASSERT_TRUE(decodeFailure(longReader, decoded));
  EXPECT_EQ(decoded.path.size(), 4096U);
}

TEST(LauncherProtocol, plainVerbsAndDone) {
  EXPECT_EQ(encode(Verb::posture), std::string("\x0b\0", 2));
  EXPECT_EQ(encodeDone(), std::string(1, '\0'));
}

}  // namespace
}  // namespace cloister::launcher
