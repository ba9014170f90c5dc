#include "controlplane/edge/config.h"

#include <gtest/gtest.h>

namespace cloister::edge {
namespace {

TEST(EdgeConfig, HasEveryValueAndNoMarkLeft) {
  ConfigOptions options;
  options.luaFile = "/etc/cloister/haproxy.lua";
  options.mapDirectory = "/state/edge";
  options.runtimeSocket = "/run/cloister/edge/haproxy.sock";
  options.statsBind = "127.0.0.1:8404";
  const auto text = haproxyConfig(options);
  EXPECT_EQ(text.find('@'), std::string::npos);
  for (const char* part : {"stats socket /run/cloister/edge/haproxy.sock level operator mode 660\n",
                           "map_str(/state/edge/hosts.map)", "map_str(/state/edge/slots.map)", "bind *:8080\n",
                           "-m ip 10.128.0.0/9", "bind 127.0.0.1:8404\n", "http-reuse safe"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
}

TEST(EdgeConfig, LeavesOutWhatIsNotAsked) {
  EXPECT_EQ(haproxyConfig({}).find("prometheus-exporter"), std::string::npos);
}

// Each would need a right at the start that HAProxy does not have, or give one over it.
TEST(EdgeConfig, AsksForNoPrivilege) {
  const auto text = haproxyConfig({});
  for (const char* part : {" user ", " group ", "chroot", "level admin", "expose-fd", "program "}) {
    EXPECT_EQ(text.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace cloister::edge
