// Mean teacher on real data: 400 labelled letters, and a pool of 16,000 without labels on which a student is asked to
// agree with the average of its own past. README.md has the results.

#include "../common/augment.hpp"
#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/draw.hpp"
#include "../common/mlp.hpp"
#include "../common/optimizers.hpp"
#include "../common/parallel.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"
#include "consistency.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/trainer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace mean_teacher {

using namespace examples;
namespace lk = limbeck;

struct options {
  int seeds = 10, epochs = 24, labels = 400, threads = all_cores();
  double weight = 3, decay = 0.99, jitter = 0.2;
  std::string out = "mean_teacher-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// An epoch is 125 updates. Each sees about 64 labelled rows, drawn again and again, and 128 rows of the pool.
constexpr std::size_t updates_per_epoch = 125, labelled_rows_per_update = 64, pool_rows_per_update = 128;

/// On the test rows, after each epoch: accuracy in percent, negative log-likelihood in nats.
struct history {
  std::vector<double> student, average, nll;
};

/// A callback of the trainer: keeps what the validations before it have reported.
struct recorder {
  history& to;
  progress_line& line;
  void after_epoch(lk::training_run& run) const {
    to.student.push_back(100 * run.metrics["accuracy"]);
    to.average.push_back(100 * run.metrics["average/accuracy"]);
    to.nll.push_back(run.metrics["nll"]);
    line.advance();
  }
};

enum class method { labels_only, labels_perturbed, pi_model, mean_teacher, mean_teacher_kl };
const std::vector<std::string> names{"labels only", "labels, perturbed", "Pi-model", "mean teacher",
                                     "mean teacher, KL"};

history run(method which, const split& data, const options& o, std::uint64_t seed, progress_line& line) {
  const double jitter = which == method::labels_only ? 0 : o.jitter;
  const lk::random_stream random(seed);  // the two see other views of the same rows
  perturbed_network student{mlp({16, 64, 64, 26}, seed), {.jitter = jitter}, random.split(0)}, average = student;
  average.random = random.split(1);

  // Rows 0 to 15,999 are the pool, those behind them the rows with a label. The draw of these is the seed's.
  const auto count = static_cast<std::size_t>(o.labels);
  row_numbers labelled = shuffled(data.train.size(), 100 + seed), behind(count), rows;
  labelled.resize(count);
  partly_labelled all{data.train, labelled};
  std::iota(behind.begin(), behind.end(), data.train.size());
  append_repeated(rows, behind, updates_per_epoch * labelled_rows_per_update);

  history h;
  const auto fit = [&](auto&& teacher, const auto& objective, auto decay, std::size_t batch) {
    lk::trainer trainer{student, teacher, objective, adam(lk::cosine(0.01, 0.0))};
    trainer.fit(lk::subset(all, rows), {.epochs = static_cast<std::size_t>(o.epochs), .batch = batch, .seed = seed},
                lk::averaging(lk::averager(decay, lk::in_place(average.parameters())), student),
                lk::validation(student.net, data.test), lk::validation(average.net, data.test, {.prefix = "average/"}),
                recorder{h, line});
  };

  // Without consistency: the labelled rows alone. The average is kept, too, but teaches nobody.
  const lk::mean_teacher slowly{.decay = o.decay};
  if (which == method::labels_only || which == method::labels_perturbed) {
    fit(lk::no_teacher{}, lk::cross_entropy{}, slowly, labelled_rows_per_update);
    return h;
  }
  // With it: all rows. A third of a batch has labels, so that three times their share of its mean is their own mean.
  for (std::size_t r = 0; r < updates_per_epoch * pool_rows_per_update; ++r) rows.push_back(r % data.train.size());
  constexpr std::size_t batch = labelled_rows_per_update + pool_rows_per_update;
  const auto labels = 3.0 * lk::cross_entropy{};
  const ramp_up weight{.to = o.weight};
  const auto consistency = weight * (26.0 * lk::squared_probabilities{});  // the sum over the 26 classes
  if (which == method::mean_teacher_kl)
    fit(average, labels + weight * lk::forward_kl{}, slowly, batch);
  else if (which == method::mean_teacher)
    fit(average, labels + consistency, slowly, batch);
  else  // the Pi-model's teacher is the student itself, which perturbs the rows once more
    fit(average, labels + consistency, lk::copied{}, batch);
  return h;
}

using outcome = std::vector<std::vector<history>>;  // [method][seed]

/// One number a seed: a member of the history after an epoch.
std::vector<double> at(const std::vector<history>& of_seeds, std::vector<double> history::*member, std::size_t epoch) {
  std::vector<double> values;
  for (const history& h : of_seeds) values.push_back((h.*member)[epoch - 1]);
  return values;
}

void report(const options& o, const outcome& all) {
  const auto epochs = static_cast<std::size_t>(o.epochs), half = (epochs + 1) / 2;
  const auto end = [&](std::size_t m) { return at(all[m], &history::student, epochs); };
  const auto gain_over = [&](method base, std::size_t m) {  // seed by seed: the draw of the labels is the same
    std::vector<double> gain = end(m), less = end(static_cast<std::size_t>(base));
    for (std::size_t s = 0; s < gain.size(); ++s) gain[s] -= less[s];
    return gain;
  };
  table results("Letter, " + std::to_string(o.labels) + " labels",
                {{"half-way"}, {"its average"}, {"at the end"}, {"less labels only"}, {"less Pi-model"}, {"NLL", 3}});
  std::ofstream csv(std::filesystem::path(o.out) / "accuracy.csv");
  csv << "method,seed,update,student,average,nll\n";
  for (std::size_t m = 0; m < names.size(); ++m) {
    using numbers = std::vector<double>;
    results.add(names[m], {at(all[m], &history::student, half), at(all[m], &history::average, half), end(m),
                           m == 0 ? numbers() : gain_over(method::labels_only, m),
                           m <= 2 ? numbers() : gain_over(method::pi_model, m), at(all[m], &history::nll, epochs)});
    for (std::size_t s = 0; s < all[m].size(); ++s)
      for (std::size_t e = 0; e < epochs; ++e)
        csv << names[m] << ',' << s << ',' << (e + 1) * updates_per_epoch << ',' << all[m][s].student[e] << ','
            << all[m][s].average[e] << ',' << all[m][s].nll[e] << '\n';
  }
  results.print();

  std::vector<curve> curves;
  const auto add_curve = [&](method m, const std::string& name, std::vector<double> history::*member) {
    curves.push_back({name, {}, {}});
    for (std::size_t e = 1; e <= epochs; ++e) {
      curves.back().x.push_back(static_cast<double>(e * updates_per_epoch));
      curves.back().y.push_back(over_seeds(at(all[static_cast<std::size_t>(m)], member, e)));
    }
  };
  add_curve(method::mean_teacher, "mean teacher: the teacher", &history::average);
  add_curve(method::mean_teacher, "mean teacher: the student", &history::student);
  add_curve(method::pi_model, "Pi-model", &history::student);
  add_curve(method::labels_perturbed, "labels, perturbed", &history::student);
  draw(o.out, {"accuracy", "Letter, " + std::to_string(o.labels) + " labels", "update", "test accuracy, %",
               "set key bottom right"},
       curves);
}

constexpr const char* usage = R"(Mean teacher, Pi-model and labels alone, on the Letter data set.
  --seeds N     draws of labelled rows (10)
  --epochs N    of 125 updates (24)
  --labels N    labelled rows (400)
  --weight W    of the consistency, after its ramp (3)
  --decay D     of the average (0.99)
  --jitter S    deviation of the noise on the standardised features (0.2)
  --threads N   runs at a time (all cores); changes no result
  --out DIR     folder of tables and plots (mean_teacher-results)
  --data DIR    folder of letter.csv.gz
  --quick       2 seeds, 2 epochs: a look at the program, not at the method
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--epochs", o.epochs, 1, 100'000);
  line.whole("--labels", o.labels, 26, 8'000).whole("--threads", o.threads, 1, 1'024);
  line.number("--weight", o.weight, 0, 1e3).number("--decay", o.decay, 0, 1).number("--jitter", o.jitter, 0, 10);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 2, o.epochs = 2; });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);

  const split data = read_letter(o.data);
  outcome all(names.size(), std::vector<history>(static_cast<std::size_t>(o.seeds)));
  const int runs = o.seeds * static_cast<int>(names.size());
  {
    progress_line progress("training " + std::to_string(runs) + " students", static_cast<long>(runs) * o.epochs);
    parallel_for(runs, o.threads, [&](int i) {
      const auto m = static_cast<std::size_t>(i) % names.size(), s = static_cast<std::size_t>(i) / names.size();
      all[m][s] = run(static_cast<method>(m), data, o, s, progress);
    });
  }
  report(o, all);
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace mean_teacher

int main(int argc, char** argv) try {
  mean_teacher::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "mean_teacher: %s\n", e.what());
  return 1;
}
