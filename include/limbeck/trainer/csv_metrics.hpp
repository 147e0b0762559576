#ifndef LIMBECK_TRAINER_CSV_METRICS_HPP
#define LIMBECK_TRAINER_CSV_METRICS_HPP

/// @file
/// The numbers of a run as a table.

#include <limbeck/core/file.hpp>
#include <limbeck/trainer/training_run.hpp>

#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

/// A callback that writes a CSV file: a line `step,epoch,loss,epoch_loss,` and the metrics' names, and below it a row
/// for each epoch, and each @p every steps where that is not 0. Numbers have the digits that give them back exactly; a
/// metric that was not measured at a row is an empty cell. Each row is on its way to the disk before the next step.
///
/// A run that begins overwrites the file. A run that is resumed keeps the rows up to its checkpoint, drops those after
/// it (they will come again), and appends. Give it after the callbacks that report metrics. Of several ranks the first writes.
class csv_metrics {
 public:
  /// To the file at @p path; a row each epoch, and each @p every steps unless that is 0.
  explicit csv_metrics(std::filesystem::path path, std::uint64_t every = 0) : path_(std::move(path)), every_(every) {}

  /// @throws file_error where the file cannot be read or written.
  void begin(training_run& run) {
    if (run.ranks.rank() != 0) return;
    std::string kept;
    if (run.resumed_from > 0 && std::filesystem::exists(path_)) {
      const std::string before = detail::read_file(path_);
      for (std::size_t at = 0, end; (end = before.find('\n', at)) != std::string::npos; at = end + 1) {
        const std::string_view line = std::string_view(before).substr(at, end + 1 - at);
        std::uint64_t step = 0;
        std::from_chars(line.data(), line.data() + line.size(), step);  // 0 for the names
        if (step <= run.resumed_from) kept += line;
      }
    }
    detail::write_atomically(path_, {kept});
    names_ = kept.substr(0, kept.find('\n'));
    if (const int reason = file_.append(path_)) detail::throw_file("write", path_, reason);
  }
  /// @throws value_error where the metrics are not those that the file began with, file_error where it cannot be
  /// written.
  void after_step(training_run& run) {
    if (every_ > 0 && run.step % every_ == 0 && !run.end_of_epoch) row(run);
  }
  void after_epoch(training_run& run) { row(run); }
  /// @throws file_error where the last rows cannot be written.
  void end(training_run& run) {
    if (run.ranks.rank() != 0) return;
    if (const int reason = file_.close()) detail::throw_file("write", path_, reason);
  }

 private:
  static std::string cell(const std::string& name) {
    if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
    std::string quoted = "\"";
    for (const char c : name) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
  }
  static std::string cell(double x) {
    if (x != x) return "";
    char digits[32];
    return std::string(digits, std::to_chars(digits, digits + sizeof digits, x).ptr);
  }
  void row(const training_run& run) {
    if (run.ranks.rank() != 0) return;
    std::string names = "step,epoch,loss,epoch_loss";
    std::string text =
        std::to_string(run.step) + ',' + std::to_string(run.epoch) + ',' + cell(run.loss) + ',' + cell(run.epoch_loss);
    for (const auto& [name, value] : run.metrics.all()) {
      names += ',' + cell(name);
      text += ',' + cell(value);
    }
    if (names_.empty()) {
      text = names + '\n' + text;
      names_ = names;
    } else if (names != names_) {
      raise<value_error>("limbeck: '" + path_.string() + "' has the columns " + names_ + ", and this row " + names +
                         "; report every metric (as NaN) in begin(run)");
    }
    text += '\n';
    if (const int reason = file_.write(text)) detail::throw_file("write", path_, reason);
  }
  std::filesystem::path path_;
  std::uint64_t every_;
  std::string names_;
  detail::output_file file_;
};

LIMBECK_END_NAMESPACE

#endif
