// Every metric that the rules and the dashboards ask for, and every label that they select by, is one that /metrics has
// or that a recording rule makes.
#include <Poco/JSON/Parser.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "api/metrics.h"
#include "tests/unit/api/metrics_page.h"
#include "tests/unit/metering/readings/fake_groups.h"

namespace cloister::api {
namespace {

namespace fs = std::filesystem;

using Names = std::map<std::string, std::set<std::string>>;  // metric -> its labels

std::string contents(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::vector<fs::path> filesOf(const char* directory, const char* extension) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(fs::path(CLOISTER_SOURCE_DIR) / directory)) {
    if (entry.path().extension() == extension) found.push_back(entry.path());
  }
  return found;
}

// What Prometheus adds by itself.
Names ownNames() {
  return {{"up", {"job", "instance"}}, {"ALERTS", {"alertname", "alertstate", "severity"}}};
}

void addPage(Names& names, const std::string& page) {
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const auto end = line.find_first_of("{ ");
    auto& labels = names[line.substr(0, end)];
    labels.insert({"job", "instance"});
    static const std::regex label(R"re(([a-z_]+)="(?:[^"\\]|\\.)*")re");
    for (std::sregex_iterator at(line.begin(), line.end(), label), last; at != last; ++at) labels.insert((*at)[1]);
  }
}

// All that cloisterd can show: a node, a tenant with everything, a request.
Names renderedNames() {
  const metering::ScratchDirectory scratch;
  store::Store store({scratch.file("cloister.db"), scratch.file("secret.key")});
  store.nodes().ensure("left");
  const auto ledger = std::move(metering::Ledger::open(scratch.file("ledger.db"))).value();
  const auto exposition = std::make_shared<metering::Exposition>(*ledger);
  exposition->setPlan("tn-1", "small");
  exposition->setPressure("nd-1", "tn-1", {"cpu", "some", 1});
  const metering::UsageBatch batch{"nd-1",
                                   1,
                                   "boot",
                                   {{"tn-1", "", "", metering::Meter::groupCpu, 1, 0, 1, ""},
                                    {metering::hostChain("nd-1"), "", "", metering::Meter::hostCpu, 1, 0, 1, ""}}};
  if (!ledger->append(batch, 1)) ADD_FAILURE() << "not recorded";
  exposition->observe(batch);
  const auto port = freePort();
  Metrics metrics("127.0.0.1:" + std::to_string(port), store, exposition);
  metrics.served(200, 0.1);
  auto names = ownNames();
  addPage(names, ask(port, "GET", "/metrics").body);
  return names;
}

struct Expression {
  std::string place;
  std::string text;
  std::string record;  // the name that it makes, of a recording rule
};

// The rules are written one expression a line, below their names.
std::vector<Expression> rules() {
  std::vector<Expression> found;
  for (const auto& path : filesOf("deploy/prometheus", ".yaml")) {
    std::istringstream lines(contents(path));
    static const std::regex line(R"(^ +(?:- )?(record|alert|expr): (.+)$)");
    std::smatch match;
    std::string record;
    for (std::string text; std::getline(lines, text);) {
      if (!std::regex_match(text, match, line)) continue;
      if (match[1] == "expr") {
        found.push_back({path.filename(), match[2], record});
      } else {
        record = match[1] == "record" ? match[2].str() : "";
      }
    }
  }
  return found;
}

void collect(const Poco::Dynamic::Var& value, const std::string& place, std::vector<Expression>& found) {
  if (value.type() == typeid(Poco::JSON::Array::Ptr)) {
    for (const auto& element : *value.extract<Poco::JSON::Array::Ptr>()) collect(element, place, found);
  } else if (value.type() == typeid(Poco::JSON::Object::Ptr)) {
    for (const auto& [key, member] : *value.extract<Poco::JSON::Object::Ptr>()) {
      if ((key == "expr" || key == "query") && member.isString()) {
        found.push_back({place, member.convert<std::string>(), {}});
      } else {
        collect(member, place, found);
      }
    }
  }
}

std::vector<Expression> dashboards() {
  std::vector<Expression> found;
  for (const auto& path : filesOf("deploy/grafana", ".json")) {
    Poco::JSON::Parser parser;
    collect(parser.parse(contents(path)), path.filename(), found);
  }
  return found;
}

// What the expression asks for that is not there. Metrics are told from functions and labels by their form: ours begin
// with our name or with a recording rule's level.
std::vector<std::string> unknown(const Expression& expression, const Names& names) {
  static const std::regex metric(R"(\b((?:(?:tenant|cloister):)?cloister_[a-z0-9_:]+|up|ALERTS)\b(?:\{([^}]*)\})?)");
  static const std::regex label(R"(([a-z_]+) *(?:=~|!~|!=|=))");
  std::vector<std::string> missing;
  const auto& text = expression.text;
  for (std::sregex_iterator at(text.begin(), text.end(), metric), last; at != last; ++at) {
    const auto found = names.find((*at)[1]);
    if (found == names.end()) {
      missing.push_back(expression.place + ": " + (*at)[1].str());
      continue;
    }
    const std::string selectors = (*at)[2];
    for (std::sregex_iterator by(selectors.begin(), selectors.end(), label); by != last; ++by) {
      if (found->second.count((*by)[1]) == 0) {
        missing.push_back(expression.place + ": " + (*at)[1].str() + " has no label " + (*by)[1].str());
      }
    }
  }
  return missing;
}

// A recording rule's labels are those of its `by`.
void addRecorded(Names& names, const Expression& rule) {
  static const std::regex grouping(R"(\bby \(([^)]*)\))");
  auto& labels = names[rule.record];
  std::smatch match;
  if (!std::regex_search(rule.text, match, grouping)) return;
  std::istringstream list(match[1]);
  for (std::string one; std::getline(list, one, ',');) labels.insert(one.substr(one.find_first_not_of(' ')));
}

TEST(MetricNames, OfRulesAndDashboardsAreOnThePage) {
  auto names = renderedNames();
  EXPECT_GE(names.size(), 30U);
  auto expressions = rules();
  EXPECT_GE(expressions.size(), 24U);
  for (const auto& rule : expressions) {
    if (!rule.record.empty()) addRecorded(names, rule);
  }
  const auto shown = dashboards();
  EXPECT_GE(shown.size(), 44U);
  expressions.insert(expressions.end(), shown.begin(), shown.end());
  std::size_t asked = 0;
  for (const auto& expression : expressions) {
    EXPECT_EQ(unknown(expression, names), std::vector<std::string>{}) << expression.text;
    asked += expression.text.find("cloister_") != std::string::npos ? 1U : 0U;
  }
  EXPECT_GE(asked, 65U);
}

TEST(MetricNames, AWrongNameOrLabelIsFound) {
  const Names names{{"cloister_nodes", {"state"}}, {"tenant:cloister_x:rate5m", {"tenant"}}};
  const auto found = [&](const char* text) { return unknown({"here", text, {}}, names).size(); };
  EXPECT_EQ(found("sum by (state) (cloister_nodes{state=\"down\"}) > 0"), 0U);
  EXPECT_EQ(found("topk(10, tenant:cloister_x:rate5m{tenant=~\"tn.*\"})"), 0U);
  EXPECT_EQ(found("cloister_node"), 1U);
  EXPECT_EQ(found("cloister_nodes_total / cloister_nodes"), 1U);
  EXPECT_EQ(found("cloister_nodes{states=\"down\"}"), 1U);
  EXPECT_EQ(found("tenant:cloister_x:rate1m"), 1U);
}

}  // namespace
}  // namespace cloister::api
