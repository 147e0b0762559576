// Adapting to a drift at test time, without labels: a network that was trained on clean satellite pictures meets a
// stream of them whose four bands drift, and learns on from its own predictions. README.md has the results.

#include "../common/augment.hpp"
#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/draw.hpp"
#include "../common/metrics.hpp"
#include "../common/mlp.hpp"
#include "../common/optimizers.hpp"
#include "../common/parallel.hpp"
#include "drift.hpp"
#include "report.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/trainer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

namespace test_time_adaptation {

using namespace examples;
namespace lk = limbeck;

struct options {
  int seeds = 10, passes = 16, epochs = 85, threads = all_cores();
  double rate = 1e-3, decay = 0.95, restore = 0.05, quantile = 0.3;
  std::string out = "test_time_adaptation-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// What a network learns from while it is used, and what brings it back to where it came from.
enum class learn_from { nothing, entropy, teacher, labels };
enum class restore { nothing, at_random, by_fisher };
struct method {
  std::string name;
  learn_from source;
  restore back;
};
const std::vector<method> methods{
    {"frozen", learn_from::nothing, restore::nothing},
    {"entropy", learn_from::entropy, restore::nothing},
    {"entropy, restored", learn_from::entropy, restore::at_random},
    {"mean teacher", learn_from::teacher, restore::nothing},
    {"mean teacher, restored", learn_from::teacher, restore::at_random},
    {"mean teacher, Fisher restored", learn_from::teacher, restore::by_fisher},
    {"with labels", learn_from::labels, restore::nothing},  // a bound: it is told each batch's labels afterwards
};

/// A network trained with labels on clean rows.
mlp train_source(const dataset& train, const options& o, std::uint64_t seed) {
  perturbed_network source{mlp({36, 64, 64, 6}, seed), {.jitter = 0.1}, lk::random_stream(seed)};
  lk::trainer{source, lk::no_teacher{}, lk::cross_entropy{}, adam(lk::cosine(5e-3, 0.0))}.fit(
      train, {.epochs = static_cast<std::size_t>(o.epochs), .batch = 128, .seed = seed});
  return source.net;
}

/// One pass of a network over the stream. It has to predict each batch before it learns from it.
history adapt(const method& how, mlp source, const dataset& test, const options& o, std::uint64_t seed) {
  constexpr std::size_t views = 8;
  const perturbation noise{.jitter = 0.1};
  lk::random_stream random = lk::random_stream(seed).split(1), restoring = lk::random_stream(seed).split(2);

  mlp student = source, teacher = source;
  adam optimizer(constant(o.rate));
  lk::averager follow(lk::ema{.decay = o.decay}, lk::in_place(teacher.parameters()));
  const lk::objective entropy{lk::student_entropy{}};
  const lk::objective labels{lk::cross_entropy{}};
  const lk::objective consistency{lk::forward_kl{}};
  lk::workspace ws;

  drifting_stream stream(test, seed, static_cast<std::size_t>(o.passes));
  history h{std::vector<double>(static_cast<std::size_t>(o.passes)), 0, 0};
  matrix gradient(drifting_stream::batch_rows, 6), prediction = gradient;
  for (std::size_t t = 0; t < stream.batches(); ++t) {
    const labelled_rows now = stream.next();
    if (how.source == learn_from::teacher) {
      // the teacher's opinion is the mean over views of the rows; the student, which sees one, learns it sharpened
      std::vector<matrix> seen;
      for (std::size_t v = 0; v < views; ++v) seen.push_back(teacher.forward(perturbed(now.inputs, noise, random)));
      const auto opinion = lk::mean_of_probabilities(seen);
      lk::fill(opinion, prediction);
      consistency(student.forward(perturbed(now.inputs, noise, random)), lk::power_transformed(opinion, 1 / 0.3),
                  lk::into(gradient), ws);
    } else {
      prediction = student.forward(now.inputs);
      if (how.source == learn_from::entropy) entropy(prediction, lk::into(gradient), ws);
      if (how.source == learn_from::labels) labels(prediction, now.labels, lk::into(gradient), ws);
    }
    h.pass[t / stream.batches_per_pass()] +=
        accuracy(prediction, now.labels) / static_cast<double>(stream.batches_per_pass());
    if (how.source == learn_from::nothing) continue;

    student.zero_gradients();
    student.backward(gradient);
    optimizer.step(student, lk::progress(t, stream.batches()));
    follow.update(student.parameters());
    if (how.back == restore::at_random)
      lk::stochastic_restore{.rate = o.restore}(student.parameters(), source.parameters(), restoring);
    if (how.back == restore::by_fisher)
      lk::fisher_restore{.quantile = o.quantile}(student.parameters(), source.parameters(), student.gradients(), ws);
  }
  for (const double a : h.pass) h.stream += a / static_cast<double>(o.passes);
  h.clean = accuracy((how.source == learn_from::teacher ? teacher : student).forward(test.features), test.labels);
  return h;
}

constexpr const char* usage = R"(Adaptation at test time to a drift, on the Satellite data set.
  --seeds N     networks, each with its drift (10)
  --passes N    over the 2,000 test rows (16)
  --epochs N    of the training before (85)
  --rate R      Adam's learning rate on the stream (0.001)
  --decay D     of the mean teacher (0.95)
  --restore P   probability that a weight is restored, a batch (0.05)
  --quantile Q  share of the weights that are restored by Fisher information (0.3)
  --threads N   runs at a time (all cores); changes no result
  --out DIR     folder of tables and plots (test_time_adaptation-results)
  --data DIR    folder of satellite.csv.gz
  --quick       2 seeds, 2 passes, 5 epochs: a look at the program, not at the method
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--passes", o.passes, 1, 10'000);
  line.whole("--epochs", o.epochs, 1, 10'000);
  line.number("--rate", o.rate, 0, 1).number("--decay", o.decay, 0, 1).number("--restore", o.restore, 0, 1);
  line.number("--quantile", o.quantile, 0, 1).whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 2, o.passes = 2, o.epochs = 5; });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);

  const split data = read_satellite(o.data);
  outcome all(methods.size(), std::vector<history>(static_cast<std::size_t>(o.seeds)));
  {
    progress_line progress("training and " + std::to_string(methods.size()) + " streams",
                           o.seeds * (1 + static_cast<long>(methods.size())));
    parallel_for(o.seeds, o.threads, [&](int s) {
      const auto seed = static_cast<std::size_t>(s);
      const mlp source = train_source(data.train, o, seed);
      progress.advance();
      for (std::size_t m = 0; m < methods.size(); ++m) {
        all[m][seed] = adapt(methods[m], source, data.test, o, seed);
        progress.advance();
      }
    });
  }
  std::vector<std::string> names;
  for (const method& m : methods) names.push_back(m.name);
  report(o.out, names, all);
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace test_time_adaptation

int main(int argc, char** argv) try {
  test_time_adaptation::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "test_time_adaptation: %s\n", e.what());
  return 1;
}
