// build: what was built of an app, what is being built, and stopping it.
#include <fmt/format.h>

#include <ostream>

#include "api/cli/build_log.h"
#include "api/cli/commands.h"

namespace cloister::cli {
namespace {

const std::vector<Column> kBuildFields{{"BUILD", "id"},
                                       {"STATE", "state"},
                                       {"REUSED", "reused"},
                                       {"CREATED", "created_at", Unit::time},
                                       {"FINISHED", "finished_at", Unit::time},
                                       {"FAILURE", "failure.detail"}};

struct BuildOptions {
  AppChoice app;
  std::string id;
  bool follow = false;
};

// The build that was named, else the app's newest.
std::string buildPath(Context& context, const BuildOptions& options) {
  if (!options.id.empty()) return appPath(options.app, "/builds/" + segment(options.id));
  const auto newest = context.api()
                          .send({.path = appPath(options.app, "/builds"), .query = scoped(context, {{"limit", "1"}})})
                          .object();
  const auto items = newest->getArray("items");
  if (items.isNull() || items->empty()) {
    throw std::runtime_error(fmt::format("app {} has no build", options.app.resolved()));
  }
  return appPath(options.app, "/builds/" + segment(text(*items->getObject(0), "id")));
}

void addBuild(CLI::App& verb, BuildOptions& options) {
  verb.add_option("build", options.id, "the build's id (default: the newest)");
  addAppOption(verb, options.app);
}

}  // namespace

void addBuildCommands(CLI::App& root, Context& context) {
  CLI::App* noun = root.add_subcommand("build", "builds of an app: what deploy has made, or is making");
  noun->require_subcommand(1);
  const auto options = std::make_shared<BuildOptions>();

  CLI::App* list = addVerb(*noun, "ls", "list builds, newest first", {"build ls", "build ls shop"});
  list->add_option("app", options->app.name, "the app (default: the working directory's name)");
  addAppOption(*list, options->app);
  onRun(*list, context, [&context, options] {
    return showList(context, appPath(options->app, "/builds"), scoped(context), kBuildFields);
  });

  CLI::App* show = addVerb(*noun, "show", "show a build", {"build show --app shop", "build show bd-06a1 -o json"});
  addBuild(*show, *options);
  onRun(*show, context, [&context, options] {
    return showObject(context, context.api().send({.path = buildPath(context, *options), .query = scoped(context)}),
                      kBuildFields);
  });

  CLI::App* log = addVerb(*noun, "log", "show the output of a build", {"build log --app shop", "build log bd-06a1 -f"});
  addBuild(*log, *options);
  log->add_flag("-f,--follow", options->follow, "go on until the build has ended");
  onRun(*log, context, [&context, options] {
    const auto path = buildPath(context, *options);
    const auto query = scoped(context);
    if (options->follow) {
      (void)awaitBuild(context, path, query);
      followBuildLog(context, path, query, context.streams.out);
    } else {
      showBuildLog(context, path, query, context.streams.out);
    }
    return 0;
  });

  CLI::App* cancel = addVerb(*noun, "cancel", "stop a build that is waiting or running; it is never released",
                             {"build cancel --app shop", "build cancel bd-06a1"});
  addBuild(*cancel, *options);
  onRun(*cancel, context, [&context, options] {
    const Response cancelled = context.api().send(
        {.method = "POST", .path = buildPath(context, *options) + "/cancel", .query = scoped(context)});
    return showDone(context, cancelled, fmt::format("build {} cancelled", text(*cancelled.object(), "id")));
  });
}

}  // namespace cloister::cli
