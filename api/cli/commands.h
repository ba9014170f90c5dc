// What the verbs share: the parsed command line, the API, and how answers are shown.
//
// A room of verbs (commands_*.cpp) adds its nouns to the tree; parsing picks one and leaves it in Context::action,
// which runs when the whole line has been parsed. Actions return the exit code. Threads: one. Failures: UsageError
// (exit 2), ApiError, TransportError and std::runtime_error (exit 1), caught in run().
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/cli/http.h"
#include "api/cli/output.h"
#include "api/cli/settings.h"

namespace cloister::cli {

enum class Format { table, json };

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Streams {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
};

struct Context {
  Streams streams;
  Environment environment;
  std::vector<std::filesystem::path> files;
  PartialSettings flags;
  Format format = Format::table;
  std::optional<std::vector<std::string>> tail;  // what stood after "--"
  std::function<int()> action;
  std::string noticeShown;  // the latest, of an operation
  std::unique_ptr<Api> connection;

  Api& api();  // reads the settings at its first call
};

// --- the tree
// A verb with its description and examples (lines without the leading "cloister").
CLI::App* addVerb(CLI::App& parent, const std::string& name, const std::string& description,
                  const std::vector<std::string>& examples);
// Not when one of its own verbs was meant.
void onRun(CLI::App& verb, Context& context, std::function<int()> action);

// The app that a verb is about: the positional or --app, else the working directory's name.
struct AppChoice {
  std::string name;
  [[nodiscard]] std::string resolved() const;
};
void addAppOption(CLI::App& verb, AppChoice& choice);

// Asks on a terminal before something is destroyed; throws when the answer is not yes. Where nobody can be asked, a
// script that goes on by itself does so, or has to have said --yes (UsageError).
enum class Unattended { goesOn, needsYes };
void confirm(Context& context, bool yes, const std::string& question, Unattended unattended = Unattended::goesOn);

// --- requests
// `extra` and the tenant that a provider acts for.
[[nodiscard]] Query scoped(Context& context, Query extra = {});
[[nodiscard]] std::string appPath(const AppChoice& app, const std::string& below = {});
[[nodiscard]] std::string json(const Poco::JSON::Object& object);
// The same for what is sent: a name or value that is no UTF-8 is a UsageError, never changed on the way.
[[nodiscard]] std::string requestBody(const Poco::JSON::Object& object);

// All pages. As JSON one page is printed as it came, several as one list.
int showList(Context& context, const std::string& path, const Query& query, const std::vector<Column>& columns);
int showObject(Context& context, const Response& response, const std::vector<Column>& fields);
// JSON as it came; otherwise `line`.
int showDone(Context& context, const Response& response, const std::string& line);

// --- operations
enum class Wait { yes, no };
// The operation, ended; its notice and progress lines go to the error stream. Survives restarts of the server.
[[nodiscard]] Response awaitOperation(Context& context, const Response& accepted, const Query& query);
// What the caller should know beforehand; once.
void showNotice(Context& context, const Poco::JSON::Object& operation);
// Waits if asked, shows `line` or the operation, 1 when it failed.
int followOperation(Context& context, const Response& accepted, const Query& query, Wait wait, const std::string& line);
// Prints the failure of an operation that ended, with the app's last lines; true when it succeeded.
bool reportOperation(Context& context, const Poco::JSON::Object& operation);

// --- the nouns
void addProviderCommands(CLI::App& root, Context& context);  // plan, tenant, token, node
void addAppCommands(CLI::App& root, Context& context);       // app, ps, scale, restart, release, rollback, domain
void addProfileCommands(CLI::App& app, Context& context);    // app profile
void addConfigCommands(CLI::App& root, Context& context);    // config, secret
void addDeployCommand(CLI::App& root, Context& context);     // deploy
void addBuildCommands(CLI::App& root, Context& context);     // build
void addStreamCommands(CLI::App& root, Context& context);    // logs, events, exec, run
void addReportCommands(CLI::App& root, Context& context);    // usage, usage gaps, audit, quota, posture
void addPriceCommands(CLI::App& root, Context& context);     // price
void addBillingCommands(CLI::App& root, Context& context);   // invoice, credit, budget
void addUsageVerbs(CLI::App& usage, Context& context);       // usage export, verify, check-focus, key
void addLedgerCommands(CLI::App& root, Context& context);    // ledger
void addLocalCommands(CLI::App& root, Context& context);     // completion, version

// The whole command: `arguments` without the program's name.
int run(const std::vector<std::string>& arguments, Streams streams, const Environment& environment,
        const std::vector<std::filesystem::path>& files);

}  // namespace cloister::cli
