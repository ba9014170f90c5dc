#include "controlplane/edge/config.h"

#include <gtest/gtest.h>

namespace cloister::edge {
namespace {

TEST(EdgeConfig, HasEveryValueAndNoMarkLeft) {
  ConfigOptions options;
  options.mapDirectory = "/state/edge";
  options.runtimeSocket = "/run/cloister/haproxy.sock";
  options.statsBind = "127.0.0.1:8404";
  const auto text = haproxyConfig(options);
  EXPECT_EQ(text.find('@'), std::string::npos);
  for (const char* part : {"stats socket /run/cloister/haproxy.sock level admin mode 660 user cloister group haproxy\n",
                           "map_str_int(/state/edge/hosts.map)", "map_str(/state/edge/slots.map)", "bind *:8080\n",
                           "-m ip 10.128.0.0/9", "    user haproxy\n", "bind 127.0.0.1:8404\n", "http-reuse safe"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part;
  }
}

TEST(EdgeConfig, LeavesOutWhatIsNotAsked) {
  ConfigOptions options;
  options.socketUser = options.socketGroup = options.user = options.group = "";
  const auto text = haproxyConfig(options);
  EXPECT_EQ(text.find("prometheus-exporter"), std::string::npos);
  EXPECT_EQ(text.find(" user "), std::string::npos);
}

}  // namespace
}  // namespace cloister::edge
