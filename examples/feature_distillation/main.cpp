// A teacher's layers beside its logits: which losses on features teach a small student more than plain distillation
// does? README.md beside this file explains the setting and has the results.

#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/draw.hpp"
#include "../common/metrics.hpp"
#include "../common/optimizers.hpp"
#include "../common/parallel.hpp"
#include "networks.hpp"
#include "report.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/trainer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace feature_distillation {

constexpr std::size_t batch_rows = 128;

struct options {
  int seeds = 8, updates = 1'000, teacher_updates = 4'000, threads = all_cores();
  std::string out = "feature_distillation-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// A trained teacher's view of the training rows.
struct view {
  matrix logits, features;
};

/// A student's lesson: what it learns from, and how long.
struct lesson {
  network& net;
  const dataset& data;
  row_numbers rows;
  const view* teacher;
  int updates;
  double rate;
  std::uint64_t seed;

  template <class Teacher, class Objective>
  void learn(Teacher&& taught, const Objective& objective) {
    // the rows in a random order, again and again
    auto in_turn = [this, random = lk::random_stream(seed), next = rows.size()](const lk::draw_request& r) mutable {
      row_numbers drawn(r.batch);
      for (std::size_t& row : drawn) {
        if (next == rows.size()) random.shuffle(rows), next = 0;
        row = rows[next++];
      }
      return drawn;
    };
    lk::trainer{net, std::forward<Teacher>(taught), objective, adam(lk::cosine(rate, 0.0))}.fit(
        lk::drawn_by(in_turn, data), {.steps = static_cast<std::size_t>(updates), .batch = batch_rows});
  }
};

/// How a student learns: an objective on its outputs. `make(bridge)` may put a projection of its features into it.
struct recipe {
  std::string name;
  std::function<void(lesson&)> teach;
};

std::size_t width(const matrix& features) { return static_cast<std::size_t>(features.cols()); }

template <class Make>
recipe taught(const std::string& name, const Make& make) {
  return {name, [make](lesson& l) {
            const view& t = *l.teacher;
            const matrix& own = l.net.forward(l.data.features.topRows(1)).of<"features">();
            lk::projection<float> bridge(width(own), width(t.features), lk::he{.seed = l.seed});
            l.learn(lk::outputs{lk::output<"logits">(lk::cached_teacher(t.logits)),
                                lk::output<"features">(lk::cached_teacher(t.features))},
                    make(bridge));
          }};
}
template <lk::loss Objective>
recipe taught(const std::string& name, const Objective& objective) {
  return taught(name, [objective](const auto&) { return objective; });
}
const recipe labels_only{"labels only", [](lesson& l) { l.learn(lk::no_teacher{}, lk::cross_entropy{}); }};

const auto kd = 0.1 * lk::cross_entropy{} + 0.9 * lk::at_temperature(4.0, lk::forward_kl{});
constexpr auto hint = [](double weight) {
  return [=](auto& bridge) { return lk::at<"features">(weight * lk::projected(bridge, lk::feature_mse{})); };
};
constexpr auto kd_and_hint = [](double weight) { return [=](auto& bridge) { return kd + hint(weight)(bridge); }; };
const auto attention = lk::at<"features">(1000 * lk::attention_transfer{.student_channels = 16, .teacher_channels = 64});
const lk::dist dist{.beta = 2, .gamma = 2, .temperature = 4};

// The weights are published ones, for other networks; README.md says whose. "weight 1" is not: it shows what one gains.
const std::vector<recipe> letter_recipes{
    labels_only,
    taught("KD", kd),
    taught("KD + hint", kd_and_hint(100)),
    taught("KD + hint, weight 1", kd_and_hint(1)),
    taught("KD + RKD", kd + lk::at<"features">(25 * lk::rkd_distance{} + 50 * lk::rkd_angle{})),
    taught("KD + similarity", kd + lk::at<"features">(3000 * lk::similarity_preserving{})),
    taught("DIST", lk::cross_entropy{} + dist),
    taught("DIST, 0.1 CE", 0.1 * lk::cross_entropy{} + dist),
    taught("labels + hint", [](auto& bridge) { return lk::cross_entropy{} + hint(100)(bridge); }),
};
const std::vector<recipe> satellite_recipes{
    labels_only,
    taught("KD", kd),
    taught("KD + attention", kd + attention),
    taught("labels + attention", lk::cross_entropy{} + attention),
};

struct task {
  std::string name;
  split data;
  const std::vector<recipe>& recipes;
  std::vector<std::size_t> labels;  // how many rows are labelled; the students see no others
  double rate, teacher_rate;        // Adam's at the start; they fall to 0 along half a cosine
};

/// Trains a teacher and, for each number of labels, seed and recipe, a student. `make(teacher?, seed)` is a network.
template <class Make>
void run(const task& t, const options& o, Make make) {
  const auto& [train_rows, test_rows] = t.data;
  auto teacher = make(true, 7);
  lesson first{teacher, train_rows, shuffled(train_rows.size(), 7), nullptr, o.teacher_updates, t.teacher_rate, 7};
  labels_only.teach(first);
  const auto test = [&](network& net) {
    return score(log_softmax(net.forward(test_rows.features).of<"logits">()), test_rows.labels);
  };
  const scores best = test(teacher);
  const layers said = teacher.forward(train_rows.features);
  const view seen{said.of<"logits">(), said.of<"features">()};
  std::printf("\n%6.1f s  %s: the teacher has learnt from %zu labelled rows: accuracy %.2f %%, NLL %.3f\n", seconds(),
              t.name.c_str(), train_rows.size(), best.accuracy, best.negative_log_likelihood);

  outcome all{t.name, t.labels, {}, {}};
  for (const recipe& r : t.recipes) all.recipes.push_back(r.name);
  const std::size_t seeds = static_cast<std::size_t>(o.seeds), recipes = t.recipes.size();
  all.of.assign(t.labels.size(), {recipes, std::vector<scores>(seeds)});
  {
    const int students = static_cast<int>(t.labels.size() * recipes * seeds);
    progress_line line(t.name + ": training " + std::to_string(students) + " students", students);
    parallel_for(students, o.threads, [&](int student) {
      const auto i = static_cast<std::size_t>(student);
      const std::size_t seed = i % seeds, r = i / seeds % recipes, c = i / seeds / recipes;
      row_numbers labelled = shuffled(train_rows.size(), 100 + seed);  // the same for every recipe
      labelled.resize(t.labels[c]);
      auto net = make(false, seed);
      lesson l{net, train_rows, labelled, &seen, o.updates, t.rate, seed};
      t.recipes[r].teach(l);
      all.of[c][r][seed] = test(net);
      line.advance();
    });
  }
  report(all, o.out);
}

constexpr const char* usage = R"(A teacher's features beside its logits, on two data sets.
  --seeds N            draws of labelled rows (8)
  --updates N          updates of every student (1000)
  --teacher-updates N  updates of both teachers (4000)
  --threads N          runs at a time (all cores); changes no result
  --out DIR            folder of tables and plots (feature_distillation-results)
  --data DIR           folder of letter.csv.gz and satellite.csv.gz
  --quick              2 seeds, 60 and 200 updates: a look at the program, not at the methods
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--updates", o.updates, 1, 10'000'000);
  line.whole("--teacher-updates", o.teacher_updates, 1, 10'000'000).whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 2, o.updates = 60, o.teacher_updates = 200; });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);

  run({"letter", read_letter(o.data), letter_recipes, {200, 800, 3'200}, 0.01, 0.002}, o,
      [](bool teacher, std::uint64_t seed) { return perceptron(16, teacher ? 256 : 64, 26, seed); });
  run({"satellite", read_satellite(o.data), satellite_recipes, {60, 240, 960}, 0.003, 0.002}, o,
      [](bool teacher, std::uint64_t seed) {
        return pixel_network(teacher ? 64 : 16, teacher ? 128 : 64, 6, seed);
      });
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace feature_distillation

int main(int argc, char** argv) try {
  feature_distillation::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "feature_distillation: %s\n", e.what());
  return 1;
}
