#include "api/representation.h"

#include <gtest/gtest.h>

namespace cloister::api {
namespace {

model::Instance instanceIn(model::InstanceState state, model::DesiredState desired = model::DesiredState::run) {
  model::Instance instance;
  instance.state = state;
  instance.desired = desired;
  return instance;
}

TEST(AppStatus, SaysWhatAnOwnerWantsToKnow) {
  using enum model::InstanceState;
  model::App app;
  model::Tenant tenant;
  EXPECT_EQ(appStatus(app, tenant, 0, {}), "empty");
  app.currentRelease = 1;
  EXPECT_EQ(appStatus(app, tenant, 0, {}), "stopped");
  EXPECT_EQ(appStatus(app, tenant, 1, {}), "starting");
  EXPECT_EQ(appStatus(app, tenant, 1, {instanceIn(starting)}), "starting");
  EXPECT_EQ(appStatus(app, tenant, 1, {instanceIn(crashed)}), "crashed");
  EXPECT_EQ(appStatus(app, tenant, 2, {instanceIn(running), instanceIn(crashed)}), "degraded");
  EXPECT_EQ(appStatus(app, tenant, 1, {instanceIn(running)}), "running");
  EXPECT_EQ(appStatus(app, tenant, 1, {instanceIn(running, model::DesiredState::stop)}), "starting");
  tenant.state = model::TenantState::suspended;
  EXPECT_EQ(appStatus(app, tenant, 1, {instanceIn(running)}), "suspended");
}

TEST(Pages, EndWithACursorOnlyWhenThereIsMore) {
  const auto key = [](const std::string& name) { return name; };
  const auto show = [](const std::string& name) {
    auto out = newObject();
    out->set("name", name);
    return out;
  };
  const store::Page page{"", 3};
  EXPECT_EQ(answerPage(page, std::vector<std::string>{"a", "b"}, key, show).body,
            R"({"items":[{"name":"a"},{"name":"b"}]})");
  const auto more = answerPage(page, std::vector<std::string>{"a", "b", "c"}, key, show).body;
  EXPECT_NE(more.find(R"("next":")" + cursorOf("b") + "\""), std::string::npos) << more;
  EXPECT_EQ(more.find("\"c\""), std::string::npos);
}

}  // namespace
}  // namespace cloister::api
