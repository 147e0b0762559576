// Does it matter which layer of a teacher teaches which layer of its student? README.md beside this file explains the
// setting and has the results.

#include "../common/command_line.hpp"
#include "../common/data.hpp"
#include "../common/draw.hpp"
#include "../common/metrics.hpp"
#include "../common/optimizers.hpp"
#include "../common/parallel.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/layers.hpp>
#include <limbeck/trainer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace layer_maps {

using namespace examples;
namespace lk = limbeck;

constexpr std::size_t batch_rows = 128, student_layers = 3, teacher_layers = 6;
constexpr int width = 64, classes = 26;

struct options {
  int seeds = 8, updates = 1'000, teacher_updates = 4'000, threads = all_cores();
  std::string out = "layer_maps-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// A perceptron whose hidden layers are an output: a list, as long as it happens to be.
class network {
 public:
  network(std::size_t layers, std::uint64_t seed) : net_(widths(layers), seed) {}

  auto forward(const matrix& x) {
    const matrix& logits = net_.forward(x);
    return lk::outputs{lk::output<"logits">(logits), lk::output<"hidden">(net_.hidden())};
  }
  template <class Gradients>
  void backward(const Gradients& g) {
    const auto& slopes = g.template of<"hidden">();
    std::vector<hidden_gradient> at;
    for (std::size_t i = 0; i < slopes.size(); ++i) at.push_back({i, slopes[i]});
    net_.backward(g.template of<"logits">(), at);
  }
  void zero_gradients() { net_.zero_gradients(); }
  std::vector<std::span<float>> parameters() { return net_.parameters(); }
  std::vector<std::span<float>> gradients() { return net_.gradients(); }

 private:
  static std::vector<int> widths(std::size_t layers) {
    std::vector<int> all(layers + 2, width);
    all.front() = 16, all.back() = classes;
    return all;
  }
  mlp net_;
};

/// What a trained teacher says of the training rows.
struct view {
  matrix logits;
  std::vector<matrix> hidden;
  view(network& teacher, const matrix& features) {
    const auto all = teacher.forward(features);
    logits = all.of<"logits">();
    hidden.assign(all.of<"hidden">().begin(), all.of<"hidden">().end());
  }
};
/// The same as a teacher: a batch is taken by the numbers of its rows.
class remembered {
 public:
  explicit remembered(const view& all) : all_(all), hidden_(all.hidden.size()) {}
  auto rows(std::span<const std::size_t> numbers) {
    logits_ = all_.logits(numbers, Eigen::all);
    for (std::size_t i = 0; i < hidden_.size(); ++i) hidden_[i] = all_.hidden[i](numbers, Eigen::all);
    return lk::outputs{lk::output<"logits">(logits_), lk::output<"hidden">(hidden_)};
  }

 private:
  const view& all_;
  matrix logits_;
  std::vector<matrix> hidden_;
};

/// Which layers teach: of a seed, because one of the maps is drawn.
struct choice {
  std::string name;
  std::function<lk::layer_map(std::uint64_t)> map;
};
lk::layer_map evenly() { return lk::layer_map::evenly(student_layers, teacher_layers); }
const std::vector<choice> choices{
    {"no layers", [](std::uint64_t) { return lk::layer_map{}; }},
    {"evenly", [](std::uint64_t) { return evenly(); }},
    {"reversed", [](std::uint64_t) { return evenly().reversed(); }},
    {"shuffled",
     [](std::uint64_t seed) {
       lk::random_stream stream(1'000 + seed);
       return evenly().shuffled(stream);
     }},
    {"all to the third", [](std::uint64_t) { return lk::layer_map::all_to_one(student_layers, 2); }},
};

/// The rows in a random order, again and again.
auto in_turn(row_numbers rows, std::uint64_t seed) {
  return [rows = std::move(rows), random = lk::random_stream(seed), next = std::size_t{0}](const lk::draw_request& r) mutable {
    row_numbers drawn(r.batch);
    for (std::size_t& row : drawn) {
      if (next % rows.size() == 0) random.shuffle(rows), next = 0;
      row = rows[next++];
    }
    return drawn;
  };
}

template <class Teacher, class Objective>
void train(network& net, Teacher&& teacher, const Objective& objective, const dataset& data, row_numbers rows, int updates,
           double rate, std::uint64_t seed) {
  lk::trainer{net, std::forward<Teacher>(teacher), objective, adam(lk::cosine(rate, 0.0))}.fit(
      lk::drawn_by(in_turn(std::move(rows), seed), data), {.steps = static_cast<std::size_t>(updates), .batch = batch_rows});
}

/// What a student learns by: labels, with or without the logits, and 3 times the mean over the pairs of layers, the paper's
/// weight.
auto lesson(bool logits, const lk::layer_map& map) {
  const double weight = map.size() == 0 ? 0 : 3.0 / static_cast<double>(map.size());
  return lk::cross_entropy{} + (logits ? 1.0 : 0.0) * lk::forward_kl{} +
         weight * lk::at_layers<"hidden">(map, lk::feature_mse{});
}

constexpr const char* usage = R"(Which layer of a teacher teaches which layer of its student, on Letter.
  --seeds N            draws of labelled rows, and students of each kind (8)
  --updates N          updates of every student (1000)
  --teacher-updates N  updates of the teacher (4000)
  --threads N          runs at a time (all cores); changes no result
  --out DIR            folder of tables and plots (layer_maps-results)
  --data DIR           folder of letter.csv.gz
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

  const split letter = read_letter(o.data);
  network teacher(teacher_layers, 7);
  train(teacher, lk::no_teacher{}, lk::cross_entropy{}, letter.train, shuffled(letter.train.size(), 7), o.teacher_updates, 0.002, 7);
  const auto test = [&](network& net) {
    return accuracy(net.forward(letter.test.features).of<"logits">(), letter.test.labels);
  };
  std::printf("%.1f s  the teacher, of %zu hidden layers: accuracy %.2f %%\n", seconds(), teacher_layers, test(teacher));
  const view taught(teacher, letter.train.features);

  const std::vector<std::size_t> labels{200, 800, 3'200};
  const std::vector<std::string> bases{"labels", "labels and logits"};
  const auto seeds = static_cast<std::size_t>(o.seeds);
  const std::size_t kinds = choices.size();
  std::vector<double> accuracies(bases.size() * labels.size() * kinds * seeds);
  const auto at = [&](std::size_t b, std::size_t l, std::size_t k, std::size_t s) -> double& {
    return accuracies[((b * labels.size() + l) * kinds + k) * seeds + s];
  };
  {
    const int students = static_cast<int>(accuracies.size());
    progress_line progress("training " + std::to_string(students) + " students", students);
    parallel_for(students, o.threads, [&](int student) {
      const auto i = static_cast<std::size_t>(student);
      const std::size_t seed = i % seeds, k = i / seeds % kinds, l = i / seeds / kinds % labels.size(),
                        b = i / seeds / kinds / labels.size();
      row_numbers rows = shuffled(letter.train.size(), 100 + seed);  // the same for every map
      rows.resize(labels[l]);
      network net(student_layers, seed);
      train(net, remembered(taught), lesson(b == 1, choices[k].map(seed)), letter.train, rows, o.updates, 0.01, seed);
      at(b, l, k, seed) = test(net);
      progress.advance();
    });
  }

  std::ofstream csv(std::filesystem::path(o.out) / "letter.csv");
  csv << "learns from,labels,map,seed,accuracy\n";
  for (std::size_t b = 0; b < bases.size(); ++b) {
    std::vector<curve> curves(kinds);
    for (std::size_t l = 0; l < labels.size(); ++l) {
      table t(bases[b] + ", " + std::to_string(labels[l]) + " rows", {{"accuracy, %"}, {"less no layers"}});
      for (std::size_t k = 0; k < kinds; ++k) {
        std::vector<double> own, less;
        for (std::size_t s = 0; s < seeds; ++s) {
          own.push_back(at(b, l, k, s));
          less.push_back(own.back() - at(b, l, 0, s));  // the same rows, the same initial weights
          csv << bases[b] << ',' << labels[l] << ',' << choices[k].name << ',' << s << ',' << own.back() << '\n';
        }
        t.add(choices[k].name, {own, less});
        curves[k].name = choices[k].name;
        curves[k].x.push_back(static_cast<double>(labels[l]));
        curves[k].y.push_back(over_seeds(less));
      }
      t.print();
    }
    draw(o.out, {b == 0 ? "labels" : "logits", "Letter: what layers add to " + bases[b], "labelled rows",
                 "test accuracy less that without layers, points", "set logscale x 2\nset key top right"}, curves);
  }
  if (!csv.flush()) throw std::runtime_error("cannot write into " + o.out);

  // how the teacher's layers look from a student that knows nothing
  network fresh(student_layers, 0);
  const auto mine = fresh.forward(letter.train.features).of<"hidden">();
  std::printf("\ncosines of the arrows from an untrained student's layer to the teacher's layers 2, 4 and 6\n");
  for (std::size_t i = 0; i < student_layers; ++i) {
    const std::vector<double> c = lk::layer_cosines(std::vector{taught.hidden[1], taught.hidden[3], taught.hidden[5]}, mine[i]);
    std::printf("layer %zu:  2 and 4 %.2f, 2 and 6 %.2f, 4 and 6 %.2f\n", i + 1, c[1], c[2], c[5]);
  }
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace layer_maps

int main(int argc, char** argv) try {
  layer_maps::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "layer_maps: %s\n", e.what());
  return 1;
}
