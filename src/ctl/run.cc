// SPDX-License-Identifier: Apache-2.0
//
// The order matters: whatever can be found wrong is found before anything is booked, everything is
// forked before the agent's thread exists, and the share is removed after the last process is gone.

#include "ctl/run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>

#include "api/share/agent.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/file.h"
#include "ctl/command_line.h"
#include "ctl/driver_choice.h"
#include "ctl/loader_cache.h"
#include "ctl/notice.h"
#include "ctl/process_tree.h"
#include "ctl/run_options.h"
#include "ctl/run_record.h"
#include "ctl/run_watch.h"
#include "ctl/slice.h"
#include "ctl/state_folder.h"
#include "ctl/supervisor.h"
#include "share/agent_socket.h"
#include "share/bypass.h"
#include "share/product_files.h"
#include "share/region_file.h"
#include "share/share_agent.h"

namespace hami::ctl {
namespace {

constexpr int kCannotExecute = 126;  // as shells have it
constexpr int kNotFound = 127;
constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

using Variables = std::map<std::string, std::string>;

// What is known before anything is booked.
struct Plan {
  RunOptions options;
  DriverChoice driver;
  Variables variables;
  std::string program;
  StateFolder state;
  share::ProductFile library;
  base::Fd record;  // --json
};

bool IsSimulated(const DriverChoice& driver) { return !driver.simulation.empty(); }

Variables TenantVariables(const DriverChoice& driver) {
  Variables variables = ReadEnvironment(environ);
  if (!variables.contains("PATH")) variables["PATH"] = kDefaultPath;
  if (IsSimulated(driver)) {
    PrependToList(&variables, "LD_LIBRARY_PATH", driver.location.library_folder);
    // The simulated driver's nvidia-smi.
    PrependToList(&variables, "PATH", base::JoinPath(driver.simulation, "bin"));
  }
  return variables;
}

Result<base::Fd> OpenRecord(const std::string& path) {
  if (path.empty()) return base::Fd();
  if (path == "-") return base::Fd(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  return base::OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
}

std::string DescribeSlice(const Booking& booking) {
  return fmt::format(
      "slice {}: {} and {} of GPU {} ({}{})", booking.name, base::FormatBytes(booking.memory_bytes),
      booking.cores_pct > 0 ? fmt::format("{} % of compute", booking.cores_pct) : "any compute",
      booking.device_index, booking.device_name, booking.simulation.empty() ? "" : ", simulated");
}

class Run {
 public:
  Run(Plan plan, Slice slice)
      : plan_(std::move(plan)),
        slice_(std::move(slice)),
        region_path_(base::JoinPath(slice_.folder, api::kRegionFile)) {}

  // The exit code. Whatever happens, the share is removed if nothing holds it.
  Result<int> Execute() {
    Result<int> code = StartAndWatch();
    const RunRecord record = MakeRecord(code.value_or(1));
    const Status released = Release();
    if (!code) return code;
    if (!released) return Fail(released.error());
    if (plan_.record) RETURN_IF_ERROR(base::WriteAll(plan_.record.get(), WriteRunRecord(record)));
    return code;
  }

  // The driver did not come back from a call: no destructor may enter it again.
  bool driver_hangs() const { return driver_hangs_; }

 private:
  Result<int> StartAndWatch() {
    started_ns_ = base::SystemClock().MonotonicNs();
    sigset_t tenant_mask;
    ASSIGN_OR_RETURN(const base::Fd signals, TakeSignals(&tenant_mask));
    ASSIGN_OR_RETURN(const base::Fd listener, share::ListenForTenants(slice_.folder));
    SupervisorSpec spec = {.enclosure = MakeEnclosure(),
                           .program = plan_.program,
                           .command = plan_.options.command,
                           .environment = {},
                           .signal_mask = tenant_mask};
    plan_.variables["CUDA_VISIBLE_DEVICES"] = slice_.booking.device_uuid;
    plan_.variables["NVIDIA_VISIBLE_DEVICES"] = slice_.booking.device_uuid;
    spec.environment = FlattenEnvironment(plan_.variables);

    ASSIGN_OR_RETURN(Supervisor supervisor, Supervisor::Start(spec));
    SupervisorEvent event = supervisor.Read();
    if (event.kind == SupervisorEvent::Kind::kRefused) {
      supervisor.Reap();
      RETURN_IF_ERROR(Degrade(event, &spec));
      ASSIGN_OR_RETURN(supervisor, Supervisor::Start(spec));
      event = supervisor.Read();
    }
    if (event.kind == SupervisorEvent::Kind::kExecFailed) {
      supervisor.Reap();
      Notice(fmt::format("{}: {}", plan_.program, std::strerror(event.value)));
      return event.value == ENOENT ? kNotFound : kCannotExecute;
    }
    if (event.kind != SupervisorEvent::Kind::kStarted) {
      supervisor.Reap();
      return Fail(Code::kInternal, "the supervisor ended before it started the command");
    }
    StartAgent();
    const RunOutcome outcome = WatchRun(&supervisor, signals, listener);
    is_stuck_ = outcome.stuck;
    return outcome.exit_code;
  }

  EnclosureSpec MakeEnclosure() {
    EnclosureSpec spec = {.stage_folder = plan_.state.stage(),
                          .shares_folder = plan_.state.shares(),
                          .share_folder = slice_.folder,
                          .share_name = slice_.booking.name,
                          .library = plan_.library.content,
                          .loader_cache = {}};
    if (IsSimulated(plan_.driver)) {
      Result<std::string> cache =
          BuildLoaderCache(plan_.driver.location.library_folder, slice_.folder);
      if (cache) {
        spec.loader_cache = std::move(*cache);
      } else {
        Notice(
            fmt::format("programs without LD_LIBRARY_PATH will not find the simulated driver: {}",
                        cache.error().message));
      }
    }
    return spec;
  }

  // Without a namespace the environment has to do.
  Status Degrade(const SupervisorEvent& refusal, SupervisorSpec* spec) {
    if (refusal.code != Code::kPermissionDenied && refusal.code != Code::kUnimplemented) {
      return Fail(Code::kInternal, fmt::format("the slice cannot be mounted: {}", refusal.text));
    }
    ASSIGN_OR_RETURN(const std::string folder,
                     share::KeepProductFiles(plan_.state.libraries(), {plan_.library}));
    const std::string library = base::JoinPath(folder, share::kPreloadLibrary);
    RETURN_IF_ERROR(MarkDegraded(&slice_));
    Notice(
        fmt::format("degraded: this system allows no mount namespace here ({}); the limits are "
                    "set by LD_PRELOAD, which a program can undo",
                    refusal.text));
    PrependToList(&plan_.variables, "LD_PRELOAD", library);
    plan_.variables["HAMI_SHARES"] = slice_.folder;
    spec->enclosure.reset();
    spec->environment = FlattenEnvironment(plan_.variables);
    return {};
  }

  void StartAgent() {
    Result<std::unique_ptr<share::ShareAgent>> agent = share::ShareAgent::Start(
        {.nvml = plan_.driver.nvml.get(),
         .region_path = region_path_,
         .device_uuid = slice_.booking.device_uuid,
         .limit_bytes = slice_.booking.memory_bytes,
         .is_member = [root = getpid()](int pid) { return IsBelow(root, pid); },
         .on_escape = plan_.options.on_escape,
         .report = [this](const share::Escape& escape) { Report(escape); },
         .report_outsider = [this](const share::Outsider& outsider) { ReportOutsider(outsider); }});
    if (agent) {
      agent_ = std::move(*agent);
    } else {
      Notice(fmt::format("this run is not watched from outside: {}", agent.error().message));
    }
  }

  void Report(const share::Escape& escape) const {
    Notice(fmt::format(
        "pid {} ({}) goes round the limit: it holds {}, and with it this slice holds {} of GPU {}, "
        "granted {}; {}{}",
        escape.pid, CommandOf(escape.pid, 60), base::FormatBytesRounded(escape.process_bytes),
        base::FormatBytesRounded(escape.driver_bytes), escape.device_index,
        base::FormatBytesRounded(escape.limit_bytes),
        escape.has_slot ? "its own figure is too low" : "it does not use the library", Verdict()));
  }

  void ReportOutsider(const share::Outsider& outsider) const {
    Notice(fmt::format("limits are not active for pid {} ({}): {}; it holds {} of GPU {}{}",
                       outsider.pid, CommandOf(outsider.pid, 60),
                       share::Describe(share::FindBypass(outsider.pid)),
                       base::FormatBytesRounded(outsider.bytes), outsider.device_index, Verdict()));
  }

  // What becomes of who is reported.
  const char* Verdict() const {
    return plan_.options.on_escape == share::OnEscape::kKill ? "; it is killed" : "";
  }

  RunRecord MakeRecord(int exit_code) {
    RunRecord record = {.booking = slice_.booking,
                        .driver_version = plan_.driver.inventory.driver_version,
                        .exit_code = exit_code};
    record.duration_ms = (base::SystemClock().MonotonicNs() - started_ns_) / 1'000'000;
    if (agent_ != nullptr) {
      share::ShareFigures figures;
      driver_hangs_ = !agent_->Stop(&figures);
      record.memory_high_water_bytes = figures.memory_high_water_bytes;
      record.escapes = figures.escapes;
      record.unlimited_processes = figures.outsiders;
    }
    const Result<share::RegionFile> region = share::RegionFile::Open(region_path_);
    if (!region) return record;
    const Result<share::DeviceView> device = region->ReadDevice(0);
    if (!device) return record;
    record.throttled_ns = device->throttled_ns;
    record.refused = device->refused;
    return record;
  }

  Status Release() {
    if (is_stuck_) return {};  // its processes hold it; a later sweep removes it
    Status released = ReturnSlice(plan_.state, &slice_);
    if (!released && released.error().code == Code::kFailedPrecondition) {
      Notice("the slice stays taken: " + released.error().message);
      return {};
    }
    return released;
  }

  Plan plan_;
  Slice slice_;
  const std::string region_path_;
  int64_t started_ns_ = 0;
  bool is_stuck_ = false;
  bool driver_hangs_ = false;
  std::unique_ptr<share::ShareAgent> agent_;
};

// A slice cannot be divided: what was booked inside of it nobody outside would know.
Status RefuseInsideASlice() {
  const char* const listed = std::getenv("HAMI_SHARES");
  std::error_code ignored;
  const bool mounted = std::filesystem::exists(api::kSharesRoot, ignored) &&
                       !std::filesystem::is_empty(api::kSharesRoot, ignored);
  if (!mounted && (listed == nullptr || *listed == 0)) return {};
  return Fail(Code::kFailedPrecondition,
              "this is a slice already, and a slice cannot be divided; start both programs "
              "outside of it (hami smi shows the slice)");
}

// Everything that can be wrong before a slice is taken. The exit code of a shell if CMD cannot be
// run, in `*exit_code`.
Result<Plan> MakePlan(RunOptions options, const std::vector<std::string>& arguments,
                      int* exit_code) {
  RETURN_IF_ERROR(RefuseInsideASlice());
  ASSIGN_OR_RETURN(DriverChoice driver, ChooseDriver(options.simulation, arguments));
  Variables variables = TenantVariables(driver);
  Result<std::string> program = FindProgram(options.command.front(), variables["PATH"]);
  if (!program) {
    *exit_code = program.error().code == Code::kPermissionDenied ? kCannotExecute : kNotFound;
    return Fail(std::move(program).error());
  }
  ASSIGN_OR_RETURN(StateFolder state, StateFolder::Open());
  ASSIGN_OR_RETURN(share::ProductFile library, share::FindProductFile(share::kPreloadLibrary));
  return Plan{.options = std::move(options),
              .driver = std::move(driver),
              .variables = std::move(variables),
              .program = std::move(*program),
              .state = std::move(state),
              .library = std::move(library),
              .record = {}};
}

Result<int> RunWith(RunOptions options, const std::vector<std::string>& arguments, int* exit_code) {
  ASSIGN_OR_RETURN(Plan plan, MakePlan(std::move(options), arguments, exit_code));
  if (IsSimulated(plan.driver)) {
    Notice("the GPU is simulated: " + plan.driver.simulation_says);
  }
  ASSIGN_OR_RETURN(Slice slice, TakeSlice(plan.state, plan.driver, plan.options));
  Result<base::Fd> record = OpenRecord(plan.options.json_path);
  if (!record) {
    RETURN_IF_ERROR(ReturnSlice(plan.state, &slice));
    return Fail(std::move(record).error());
  }
  plan.record = std::move(*record);
  if (!plan.options.quiet) Notice(DescribeSlice(slice.booking));
  Run run(std::move(plan), std::move(slice));
  Result<int> code = run.Execute();
  if (run.driver_hangs()) {
    Notice("the driver does not answer");
    _exit(code.value_or(1));
  }
  return code;
}

}  // namespace

int RunMain(const std::vector<std::string>& arguments) {
  Result<RunOptions> options = ParseRunOptions(arguments);
  if (!options) {
    Notice(options.error().message + "\nSee hami run --help.");
    return ExitCode(options.error().code);
  }
  if (options->help) {
    std::fputs(std::string(RunHelp()).c_str(), stdout);
    return 0;
  }
  int exit_code = 0;
  const Result<int> code = RunWith(std::move(*options), arguments, &exit_code);
  if (code) return *code;
  Notice(code.error().message);
  return exit_code != 0 ? exit_code : ExitCode(code.error().code);
}

}  // namespace hami::ctl
