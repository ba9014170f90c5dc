#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "api/cli/commands.h"
#include "api/cli/completion.h"

namespace cloister::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

}  // namespace

void addLocalCommands(CLI::App& root, Context& context) {
  const auto shell = std::make_shared<std::string>();
  CLI::App* completion = addVerb(root, "completion", "print a completion script for a shell",
                                 {"completion bash > /etc/bash_completion.d/cloister", "completion fish | source"});
  completion->add_option("shell", *shell, "the shell")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  onRun(*completion, context, [&context, &root, shell] {
    const Shell kind = *shell == "bash" ? Shell::bash : *shell == "zsh" ? Shell::zsh : Shell::fish;
    context.streams.out << completionScript(root, kind);
    return 0;
  });

  CLI::App* version = addVerb(root, "version", "print the version of this command", {"version"});
  onRun(*version, context, [&context] {
    context.streams.out << (context.format == Format::json ? fmt::format(R"({{"version":"{}"}})", CLOISTER_VERSION)
                                                           : fmt::format("cloister {}", CLOISTER_VERSION))
                        << '\n';
    return 0;
  });
}

int run(const std::vector<std::string>& arguments, Streams streams, const Environment& environment,
        const std::vector<std::filesystem::path>& files) {
  Context context{.streams = streams,
                  .environment = environment,
                  .files = files,
                  .flags = {},
                  .format = Format::table,
                  .tail = std::nullopt,
                  .action = {},
                  .noticeShown = {},
                  .connection = nullptr};
  CLI::App root("Cloister: host apps of tenants that do not trust each other", "cloister");
  root.fallthrough();
  root.require_subcommand(1);
  root.set_version_flag("--version", fmt::format("cloister {}", CLOISTER_VERSION), "print the version of this command");
  root.add_option("--server", context.flags.server, "URL of the API (CLOISTER_SERVER)");
  root.add_option("--token", context.flags.token, "token (CLOISTER_TOKEN)");
  root.add_option("--tenant", context.flags.tenant, "the tenant that a provider acts for (CLOISTER_TENANT)");
  root.add_option_function<std::string>(
          "-o,--output",
          [&context](const std::string& value) { context.format = value == "json" ? Format::json : Format::table; },
          "table, or json: the API's objects as they are")
      ->check(CLI::IsMember({"table", "json"}));
  root.footer(
      "Values missing on the command line come from CLOISTER_SERVER, CLOISTER_TOKEN, CLOISTER_TENANT, then from\n"
      "~/.config/cloister/cli.toml, then from /etc/cloister/cli.toml.\n"
      "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.\n\n"
      "Examples:\n  cloister deploy examples/nginx --tenant demo\n  cloister logs -f nginx --tenant demo\n"
      "  cloister app ls -o json\n");
  addDeployCommand(root, context);
  addBuildCommands(root, context);
  addAppCommands(root, context);
  addStreamCommands(root, context);
  addConfigCommands(root, context);
  addReportCommands(root, context);
  addPriceCommands(root, context);
  addBillingCommands(root, context);
  addLedgerCommands(root, context);
  addProviderCommands(root, context);
  addLocalCommands(root, context);

  const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
  std::vector<std::string> parsedArguments(arguments.begin(), dashes);
  if (dashes != arguments.end()) context.tail.emplace(dashes + 1, arguments.end());
  std::reverse(parsedArguments.begin(), parsedArguments.end());  // CLI11 takes them from the back
  try {
    root.parse(parsedArguments);
    const auto takesCommand = [&] { return root.got_subcommand("exec") || root.got_subcommand("run"); };
    if (context.tail && !takesCommand()) throw UsageError("only exec and run take a command after --");
    return context.action();
  } catch (const CLI::RequiredError& error) {
    const std::vector<std::string> unknown = root.remaining(true);
    streams.err << "cloister: "
                << (unknown.empty() ? std::string(error.what()) : fmt::format("no such command: {}", unknown.front()))
                << "\nRun with --help for more information.\n";
    return kUsage;
  } catch (const CLI::ParseError& error) {
    const int code = root.exit(error, streams.out, streams.err);
    return code == 0 ? 0 : kUsage;
  } catch (const UsageError& error) {
    streams.err << "cloister: " << error.what() << '\n';
    return kUsage;
  } catch (const std::exception& error) {
    streams.err << "cloister: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace cloister::cli
