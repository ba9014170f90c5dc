// openapi.yaml is the truth: what it lists is served, and what is served is in it, with the same access.
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "api/json_syntax.h"
#include "api/openapi_document.h"
#include "api/resources/resources.h"
#include "api/router.h"
#include "api/services.h"

namespace cloister::api {
namespace {

// Everything that a handler could touch, in a directory of its own; no handler is called.
struct World {
  std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("cloister-openapi-" + std::to_string(getpid()));
  Config config;
  store::Store store{{":memory:", ""}};
  std::unique_ptr<metering::Ledger> ledger = metering::Ledger::open(":memory:").value();
  std::unique_ptr<metering::Billing> billing = metering::Billing::open(":memory:").value();
  metering::SigningKey signingKey = metering::SigningKey::fromSeed(std::string(32, 'k')).value();
  metering::Exposition exposition{*ledger};
  builds::BlobStore blobs{(directory / "blobs").string()};
  reconcile::Deployments deployments{store, {}};
  reconcile::NodeWorkService work{store};
  Sessions sessions{[] {}};
  BuildLogs logs{(directory / "builds").string(), 1};
  BaseImages bases{directory.string()};
  Slots uploads{1};
  Slots streams{1};
  StreamRights rights{store};
  std::atomic<bool> stopping{false};
  Services services{config,     store,    blobs, deployments, work,    *ledger, *billing, signingKey,
                    exposition, sessions, logs,  bases,       uploads, streams, rights,   stopping};
  World() { std::filesystem::create_directories(directory); }
  ~World() { std::filesystem::remove_all(directory); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
};

std::string scopeName(Access access) {
  switch (access) {
    case Access::open:
      return "none";
    case Access::any:
      return "any";
    case Access::provider:
      return "provider";
    case Access::tenant:
      return "tenant";
    case Access::node:
      break;
  }
  return "node";
}

TEST(OpenApi, ListsWhatIsServed) {
  World world;
  Router router;
  for (const auto add : {addService, addPlans, addTenants, addTokens, addNodes, addApps, addCallProfiles, addInstances,
                         addDeployments, addStreams, addOperations, addRecords, addQuotas, addBilling}) {
    add(router, world.services);
  }
  std::set<std::string> served;
  for (const auto& route : router.routes()) {
    std::string line = route.method + " ";
    for (const auto& part : route.pattern) line += "/" + part;
    served.insert(line + " " + scopeName(route.access));
  }
  std::set<std::string> listed;
  const auto document = Poco::JSON::Parser().parse(std::string(openapiDocument())).extract<Poco::JSON::Object::Ptr>();
  const auto paths = document->getObject("paths");
  for (const auto& [path, item] : *paths) {
    for (const auto& [verb, operation] : *item.extract<Poco::JSON::Object::Ptr>()) {
      if (verb == "parameters") continue;
      std::string method = verb;
      for (auto& c : method) c = static_cast<char>(c - 'a' + 'A');
      listed.insert(method + " " + path + " " +
                    operation.extract<Poco::JSON::Object::Ptr>()->getValue<std::string>("x-scope"));
    }
  }
  for (const auto& line : served) EXPECT_TRUE(listed.contains(line)) << "served, not listed: " << line;
  for (const auto& line : listed) EXPECT_TRUE(served.contains(line)) << "listed, not served: " << line;
}

TEST(OpenApi, IsJsonWithoutDanglingReferences) {
  const auto text = std::string(openapiDocument());
  EXPECT_FALSE(checkJsonSyntax(text).has_value());
  const auto document = Poco::JSON::Parser().parse(text).extract<Poco::JSON::Object::Ptr>();
  const std::string mark = "\"$ref\": \"#/components/";
  int references = 0;
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1), ++references) {
    const auto start = at + mark.size();
    const auto name = text.substr(start, text.find('"', start) - start);
    const auto slash = name.find('/');
    const auto section = document->getObject("components")->getObject(name.substr(0, slash));
    EXPECT_TRUE(section && section->has(name.substr(slash + 1))) << name;
  }
  EXPECT_GT(references, 50);
}

}  // namespace
}  // namespace cloister::api
