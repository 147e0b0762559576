// The left and the right half of a digit as two modalities: which loss lets one find the other, where one tower is frozen
// and where both learn? README.md beside this file explains the setting and has the results.

#include "../common/command_line.hpp"
#include "../common/metrics.hpp"
#include "../common/optimizers.hpp"
#include "../common/parallel.hpp"
#include "../common/picture.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"
#include "towers.hpp"

#include <limbeck/trainer.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace two_halves {

constexpr std::size_t batch_rows = 120;

struct options {
  int seeds = 10, epochs = 60, threads = all_cores();
  std::string out = "two_halves-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

/// Who learns: the left tower, from a right one that stays as it was made, or as a classifier made it; or both.
enum class way { random, taught, both };
const std::vector<std::string> ways{"right tower frozen, random", "right tower frozen, a classifier", "both learn"};

struct recipe {
  std::string name;
  contrast loss;
};
std::vector<recipe> recipes() {
  constexpr double t = 0.1;
  const lk::symmetric_info_nce contrasted{t};
  return {{"info_nce", {lk::info_nce{t}}},
          {"symmetric_info_nce", {contrasted}},
          {"nt_xent", {lk::nt_xent{t}}},
          {"cross_correlation", {lk::cross_correlation{}}},
          {"cosine_embedding", {lk::cosine_embedding{}}},
          {"over other_classes", {contrasted.over(lk::other_classes{})}},
          {"over same_class", {contrasted.over(lk::same_class{})}},
          {"supervised_contrast", {lk::supervised_contrast{t}}},
          {"cosine alone", {lk::margin_cosine{.margin = 0}}},
          {"l1 of unit rows", {unit_l1}}};
}

template <class Student, class Teacher, class Objective>
void train(Student& student, Teacher&& teacher, const Objective& objective, const dataset& data, int epochs, std::uint64_t seed) {
  lk::trainer{student, std::forward<Teacher>(teacher), objective, adam(lk::cosine(0.003, 0.0))}.fit(
      data, {.epochs = static_cast<std::size_t>(epochs), .batch = batch_rows, .seed = seed});
}

/// Where a right tower that stays as it is puts the digits.
struct places {
  matrix train, test;
};

/// Trains, and asks with the test digits.
retrieval run(way how, const contrast& loss, const places& frozen, const split& digits, int epochs, std::uint64_t seed) {
  const matrix& test = digits.test.features;
  if (how == way::both) {
    towers all(seed);
    train(all, lk::no_teacher{}, lk::between<"left", "right">(loss), digits.train, epochs, seed);
    return {all.left.forward(test), all.right.forward(test)};
  }
  tower left = left_tower(seed);
  train(left, lk::cached_teacher(frozen.train), lk::objective{loss}, digits.train, epochs, seed);
  return {left.forward(test), frozen.test};
}

/// One line of the table: a recipe, or none, one way.
struct entry {
  std::string name;
  std::vector<recall> of_seeds;
  retrieval first;  // of the first seed
  std::vector<double> each(double recall::*member) const {
    std::vector<double> all;
    for (const recall& r : of_seeds) all.push_back(r.*member);
    return all;
  }
};

/// Digits of which the right half is what was found: grey the digit's own, blue another of the same digit, orange any other.
void glue(const std::filesystem::path& path, const digit_images& digits, const std::vector<entry>& lines) {
  constexpr std::size_t shown = 20, side = digit_images::side;
  tiles picture(lines.size() + 1, shown, side, side, 5);
  for (std::size_t row = 0; row <= lines.size(); ++row)
    for (std::size_t i = 0; i < shown; ++i) {
      const std::size_t other = row == 0 ? i : lines[row - 1].first.nearest[i];
      const bool same = digits.digits[training_digits + i] == digits.digits[training_digits + other];
      for (std::size_t y = 0; y < side; ++y)
        for (std::size_t x = 0; x < side; ++x) {
          const std::size_t from = training_digits + (x < side / 2 ? i : other);
          const double ink = static_cast<double>(digits.grey(static_cast<Eigen::Index>(from), static_cast<Eigen::Index>(y * side + x)));
          const auto faded = [ink](double most) { return grey(ink * most)[0]; };
          const bool own = x < side / 2 || other == i;
          picture.set(row, i, y, x, own ? grey(ink) : same ? colour{faded(0.34), faded(0.71), faded(0.91)}
                                                           : colour{faded(1), faded(0.5), faded(0.1)});
        }
    }
  picture.write_png(path);
}

constexpr const char* usage = R"(Which right half of a digit belongs to a left half: two towers, trained by contrast.
  --seeds N    towers of each kind (10)
  --epochs N   of ten updates (60)
  --threads N  runs at a time (all cores); changes no result
  --out DIR    folder of tables and pictures (two_halves-results)
  --data DIR   folder of digits.csv.gz
  --quick      2 seeds, 2 epochs: a look at the program, not at the methods
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--epochs", o.epochs, 1, 100'000).whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] { o.seeds = 2, o.epochs = 2; });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);
  const std::filesystem::path out = o.out;

  const digit_images pictures = read_digits(o.data);
  const split digits = read_halves(pictures);
  const std::vector<int>& labels = digits.test.labels;
  const auto seeds = static_cast<std::size_t>(o.seeds);
  const matrix &training = digits.train.features, &test = digits.test.features;
  std::vector<places> random, taught;
  std::vector<double> classified;
  entry untrained{"untrained", {}, {}};
  for (std::size_t s = 0; s < seeds; ++s) {
    towers pair(s);
    random.push_back({pair.right.forward(training), pair.right.forward(test)});
    const retrieval found(pair.left.forward(test), random[s].test);
    untrained.of_seeds.push_back(recall(found, labels));
    if (s == 0) untrained.first = found;
    tower right = classifier(s);
    train(right, lk::no_teacher{}, lk::cross_entropy{}, digits.train, o.epochs, s);
    taught.push_back({right.features(training), right.features(test)});
    classified.push_back(accuracy(right.forward(test), labels));
  }

  // what is to be run: each recipe each way, and then three with both towers at each temperature
  struct job {
    way how;
    contrast loss;
    entry* to;
  };
  const std::vector<recipe> all = recipes();
  std::vector<std::vector<entry>> tables(ways.size());
  std::vector<job> jobs;
  for (std::size_t w = 0; w < ways.size(); ++w) {
    for (const recipe& r : all) tables[w].push_back({r.name, std::vector<recall>(seeds), {}});
    for (std::size_t r = 0; r < all.size(); ++r) jobs.push_back({static_cast<way>(w), all[r].loss, &tables[w][r]});
  }
  const std::vector<double> temperatures{0.03, 0.1, 0.3, 1};
  const std::vector<std::string> names{"symmetric_info_nce", "nt_xent", "symmetric_info_nce over other_classes"};
  std::vector<std::vector<entry>> swept(names.size(), std::vector<entry>(temperatures.size(), {"", std::vector<recall>(seeds), {}}));
  for (std::size_t i = 0; i < temperatures.size(); ++i) {
    const double t = temperatures[i];
    const lk::symmetric_info_nce contrasted{t};
    jobs.push_back({way::both, {contrasted}, &swept[0][i]});
    jobs.push_back({way::both, {lk::nt_xent{t}}, &swept[1][i]});
    jobs.push_back({way::both, {contrasted.over(lk::other_classes{})}, &swept[2][i]});
  }
  {
    const int runs = static_cast<int>(jobs.size() * seeds);
    progress_line progress("training " + std::to_string(runs) + " pairs of towers", runs);
    parallel_for(runs, o.threads, [&](int i) {
      const job& j = jobs[static_cast<std::size_t>(i) / seeds];
      const std::size_t s = static_cast<std::size_t>(i) % seeds;
      const retrieval found = run(j.how, j.loss, j.how == way::random ? random[s] : taught[s], digits, o.epochs, s);
      j.to->of_seeds[s] = recall(found, labels);
      if (s == 0) j.to->first = found;
      progress.advance();
    });
  }

  const spread right = over_seeds(classified);
  std::printf("%zu test digits; the classifier of right halves: accuracy %.1f ± %.1f %%\n", labels.size(), right.mean, right.deviation);
  std::ofstream csv(out / "recall.csv");
  csv << "who learns,loss,seed,own half,same digit,strangers\n";
  for (std::size_t w = 0; w < ways.size(); ++w) {
    if (static_cast<way>(w) == way::both) tables[w].insert(tables[w].begin(), untrained);
    table t(ways[w], {{"own half, %"}, {"same digit, %"}, {"strangers' cosine"}});
    for (const entry& e : tables[w]) {
      t.add(e.name, {e.each(&recall::own), e.each(&recall::same_class), e.each(&recall::strangers)});
      for (std::size_t s = 0; s < seeds; ++s)
        csv << '"' << ways[w] << "\"," << e.name << ',' << s << ',' << e.of_seeds[s].own << ',' << e.of_seeds[s].same_class << ','
            << e.of_seeds[s].strangers << '\n';
    }
    t.print();
  }
  if (!csv.flush()) throw std::runtime_error("cannot write into " + o.out);

  std::vector<curve> curves;
  for (std::size_t n = 0; n < names.size(); ++n) {
    curves.push_back({names[n], temperatures, {}});
    for (const entry& e : swept[n]) curves.back().y.push_back(over_seeds(e.each(&recall::own)));
  }
  draw(o.out, {"temperature", "Halves of digits, both towers learn", "temperature", "own half nearest, % of test digits",
               "set logscale x 10\nset xrange [0.025:1.2]\nset key bottom left"}, curves);
  glue(out / "glued.png", pictures, tables.back());
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace two_halves

int main(int argc, char** argv) try {
  two_halves::run(argc, argv);
} catch (const std::exception& e) {
  std::fprintf(stderr, "two_halves: %s\n", e.what());
  return 1;
}
