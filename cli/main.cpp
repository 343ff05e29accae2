#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "command.hpp"
#include "crash_report.hpp"
#include "isolate.hpp"
#include "pjrt/version.hpp"
#include "terminal.hpp"

namespace {

using pjrt::cli::Subcommand;

/// Plugins log through absl; without -v only what the user asked for belongs on the terminal.
void quieten_plugins() {
  ::setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0);
  ::setenv("TPU_MIN_LOG_LEVEL", "3", 0);
  ::setenv("TPU_STDERR_LOG_LEVEL", "3", 0);
}

/// Standard streams as the rest expects them: none closed, for then the next file that is opened would become it, and
/// be written to; and a reader that goes away, or a limit on the size of files, makes writes fail instead of ending the
/// process.
void prepare_standard_streams() {
  int fd = 0;
  do {
    fd = ::open("/dev/null", O_RDONLY);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  ::close(fd);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

/// stdout is part of the result: a full disk or a closed pipe behind it is a failure.
bool flushed() {
  std::cout.flush();
  return std::cout.good() && std::fflush(stdout) == 0;
}

pjrt::cli::Status run(const Subcommand& command) try {
  return command.run();
} catch (const std::exception& e) {  // none is meant to come here; memory may run out
  return std::unexpected(pjrt::cli::Failure(pjrt::Error(pjrt::ErrorCode::Internal, e.what())));
}

int finish(const Subcommand& command, const std::string& name) {
  const pjrt::cli::Status status = run(command);
  if (!status) {
    std::cout.flush();
    std::cerr << name << ": " << pjrt::cli::describe(status.error().error, command.output->verbose) << "\n";
    return status.error().status;
  }
  if (!flushed()) {
    std::cerr << name << ": cannot write to standard output\n";
    return pjrt::cli::kFailed;
  }
  return *status;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_standard_streams();
  pjrt::cli::ShownText::install();
  CLI::App app("Runs and inspects compiled machine-learning programs (JAX exports, StableHLO) on PJRT plugins.",
               "pjrt");
  app.set_version_flag("--version", "pjrt " + std::to_string(PJRT_CPP_VERSION_MAJOR) + "." +
                                        std::to_string(PJRT_CPP_VERSION_MINOR) + "." +
                                        std::to_string(PJRT_CPP_VERSION_PATCH) + " (PJRT API " +
                                        pjrt::to_string(pjrt::kApiVersion) + ")");
  app.require_subcommand(1);
  const Subcommand commands[] = {pjrt::cli::add_run(app), pjrt::cli::add_inspect(app), pjrt::cli::add_compile(app),
                                 pjrt::cli::add_info(app), pjrt::cli::add_devices(app)};
  if (argc > 1 && argv[1][0] != '-' &&
      std::ranges::none_of(commands, [&](const Subcommand& c) { return c.app->get_name() == argv[1]; })) {
    std::cerr << "pjrt: there is no subcommand '" << pjrt::cli::one_line(argv[1]) << "' (try pjrt --help)\n";
    return pjrt::cli::kWrongUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    app.exit(e);
    if (flushed()) return pjrt::cli::kDone;
    std::cerr << "pjrt: cannot write to standard output\n";
    return pjrt::cli::kFailed;
  } catch (const CLI::ParseError& e) {
    std::cerr << "pjrt: " << pjrt::cli::one_line(e.what()) << " (try pjrt --help)\n";
    return pjrt::cli::kWrongUsage;
  }
  for (const Subcommand& command : commands) {
    if (!command.app->parsed()) continue;
    if (!command.output->verbose) quieten_plugins();
    const std::string name = "pjrt " + command.app->get_name();
    const auto work = [&](pjrt::cli::CrashRecord* shared) {
      pjrt::cli::report_crashes(name, shared);
      const int status = finish(command, name);
      pjrt::cli::end_crash_report();
      return status;
    };
    if (command.output->isolate) return pjrt::cli::run_isolated(name, command.output->verbose, work);
    return work(nullptr);
  }
  return pjrt::cli::kWrongUsage;
}
