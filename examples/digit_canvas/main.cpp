// Dense predictions on canvases of digits: a segmenter distilled by pixels, channels, boundaries and objects, and
// anomalies found by what a student could not learn. README.md beside this file explains the setting and has the
// results.

#include "../common/command_line.hpp"
#include "../common/parallel.hpp"
#include "../common/picture.hpp"
#include "../common/table.hpp"
#include "anomalies.hpp"
#include "segmentation.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

namespace digit_canvas {

struct options {
  int seeds = 5, updates = 600, teacher_updates = 6'000, labelled = 24, normal = 400, test = 200, threads = all_cores();
  std::string out = "digit_canvas-results", data = LIMBECK_EXAMPLE_FOLDER "/../data";
};

constexpr std::size_t training_digits = 1'200;  // the others are on test canvases only
constexpr std::size_t shown = 6;                // canvases in a picture

/// Those of the first or of the other digits that are, or are not, the anomaly.
row_numbers digits_where(const digit_images& all, bool train, const std::function<bool(int)>& use) {
  row_numbers rows;
  for (std::size_t r = 0; r < all.digits.size(); ++r)
    if ((r < training_digits) == train && use(all.digits[r])) rows.push_back(r);
  return rows;
}
bool any(int) { return true; }

// --- segmentation --------------------------------------------------------------------------------------------------

colour colour_of(int label) {  // background dark, digits apart
  constexpr colour all[classes] = {{30, 30, 30},   {213, 94, 0},    {0, 114, 178},  {0, 158, 115},
                                   {240, 228, 66}, {204, 121, 167}, {230, 159, 0},  {86, 180, 233},
                                   {160, 90, 40},  {150, 150, 150}, {255, 255, 255}};
  return all[label];
}

void segmentation(const options& o, const digit_images& digits) {
  const canvases many = draw_canvases(digits, {digits_where(digits, true, any), 1'000, 1, 4, 1});
  const canvases test =
      draw_canvases(digits, {digits_where(digits, false, any), static_cast<std::size_t>(o.test), 1, 4, 2});
  mlp teacher = train_teacher(many, o.teacher_updates, 1);
  const std::vector<int> teacher_says = segment(teacher, test, teacher_radius);

  const std::vector<recipe> all = recipes();
  const auto seeds = static_cast<std::size_t>(o.seeds);
  std::vector<std::vector<double>> iou(all.size(), std::vector<double>(seeds)), accuracy = iou;
  std::vector<std::vector<int>> first_says(all.size());
  const int runs = o.seeds * static_cast<int>(all.size());
  {
    progress_line progress("training " + std::to_string(runs) + " segmenters", runs);
    parallel_for(runs, o.threads, [&](int i) {
      const auto m = static_cast<std::size_t>(i) % all.size(), s = static_cast<std::size_t>(i) / all.size();
      const canvases few =
          draw_canvases(digits, {digits_where(digits, true, any), static_cast<std::size_t>(o.labelled), 1, 4, 100 + s});
      mlp knows = teacher;
      const lessons l(few, knows);
      mlp student = train_student(l, all[m], o.updates, s);
      const std::vector<int> says = segment(student, test, student_radius);
      lk::confusion_matrix counts(classes);
      counts.update(test.labels, says);
      iou[m][s] = 100 * counts.mean_iou();
      accuracy[m][s] = 100 * counts.accuracy();
      if (s == 0) first_says[m] = says;
      progress.advance();
    });
  }

  table results("segmentation, " + std::to_string(o.labelled) + " canvases",
                {{"mIoU, %"}, {"less labels only"}, {"less pixel KL"}, {"pixels right, %"}});
  results.add("teacher", {{100 * lk::mean_iou(test.labels, teacher_says, classes)}, {}, {}, {}});
  std::ofstream csv(std::filesystem::path(o.out) / "segmentation.csv");
  csv << "recipe,seed,miou,accuracy\n";
  for (std::size_t m = 0; m < all.size(); ++m) {
    const auto less = [&](std::size_t base) {  // seed by seed: the same canvases, the same initial weights
      std::vector<double> d = iou[m];
      for (std::size_t s = 0; s < seeds; ++s) d[s] -= iou[base][s];
      return d;
    };
    using numbers = std::vector<double>;
    results.add(all[m].name, {iou[m], m == 0 ? numbers() : less(0), m < 2 ? numbers() : less(1), accuracy[m]});
    for (std::size_t s = 0; s < seeds; ++s)
      csv << all[m].name << ',' << s << ',' << iou[m][s] << ',' << accuracy[m][s] << '\n';
  }
  results.print();

  tiles picture(shown, 3 + all.size(), shape.height, shape.width, 4);
  for (std::size_t n = 0; n < shown && n < test.size(); ++n)
    for (std::size_t p = 0; p < pixels; ++p) {
      const std::size_t y = p / shape.width, x = p % shape.width, i = n * pixels + p;
      picture.set(n, 0, y, x, grey(static_cast<double>(test.grey.data()[i])));
      picture.set(n, 1, y, x, colour_of(test.labels[i]));
      picture.set(n, 2, y, x, colour_of(teacher_says[i]));
      for (std::size_t m = 0; m < all.size(); ++m) picture.set(n, 3 + m, y, x, colour_of(first_says[m][i]));
    }
  picture.write_png(std::filesystem::path(o.out) / "segmentation.png");
}

// --- anomalies -----------------------------------------------------------------------------------------------------

/// A student's teacher, and how it learns from it.
struct way {
  std::string name;
  bool trained;
  double p_hard;
};

/// What one student finds of a digit that it has not seen.
struct finding {
  double by_largest = 0, by_mean = 0;  // areas under the curve, scoring a canvas by its map's largest number or mean
  double found = 0;                    // in percent, with 5 % of false alarms, by the largest
  std::vector<std::vector<float>> good, bad;  // some maps
};

/// Canvases with and without the digit @p odd.
struct hunt {
  canvases normal, usual, good, bad;  // to learn from; to say what is usual; to test with

  hunt(const options& o, const digit_images& digits, int odd) {
    const auto is_odd = [odd](int d) { return d == odd; };
    const auto is_normal = [odd](int d) { return d != odd; };
    const auto count = static_cast<std::size_t>(o.test);
    const auto drawn = [&](bool train, const std::function<bool(int)>& use, std::size_t n, std::size_t most,
                           std::uint64_t seed) {
      return draw_canvases(digits, {digits_where(digits, train, use), n, 1, most, seed, 0});
    };
    normal = drawn(true, is_normal, static_cast<std::size_t>(o.normal), 4, 3);
    usual = drawn(true, is_normal, count, 1, 4);
    good = drawn(false, is_normal, count, 1, 5);
    bad = drawn(false, is_odd, count, 1, 6);
  }
};

finding look(const options& o, const hunt& h, const way& w, const mlp& trained, std::uint64_t seed) {
  normalised_teacher teacher = w.trained ? normalised_teacher(trained, classes, h.normal)
                                         : normalised_teacher(mlp({81, 64, 32}, 300 + seed), 32, h.normal);
  const lk::objective objective{lk::hard_quantile{.p_hard = w.p_hard}};
  mlp student = imitate(teacher, h.normal, objective, 2 * o.updates, seed);
  std::vector<float> usual;
  for (std::size_t n = 0; n < h.usual.size(); ++n) {
    const auto map = map_of(student, teacher, h.usual, n);
    usual.insert(usual.end(), map.begin(), map.end());
  }
  const lk::quantile_normaliser normalise(usual);
  finding all;
  std::vector<double> largest[2], mean[2];
  for (const bool odd : {false, true}) {
    const canvases& of = odd ? h.bad : h.good;
    for (std::size_t n = 0; n < of.size(); ++n) {
      auto map = map_of(student, teacher, of, n);
      normalise(map);
      largest[odd].push_back(static_cast<double>(*std::max_element(map.begin(), map.end())));
      mean[odd].push_back(std::accumulate(map.begin(), map.end(), 0.0) / pixels);
      if (n < shown) (odd ? all.bad : all.good).push_back(map);
    }
  }
  all.by_largest = area_under_curve(largest[0], largest[1]);
  all.by_mean = area_under_curve(mean[0], mean[1]);
  std::sort(largest[0].begin(), largest[0].end());
  const double threshold = largest[0][largest[0].size() * 95 / 100];
  const auto above = std::count_if(largest[1].begin(), largest[1].end(), [&](double x) { return x > threshold; });
  all.found = 100 * static_cast<double>(above) / static_cast<double>(h.bad.size());
  return all;
}

void show(const options& o, const std::string& name, const hunt& h, const finding& f) {
  tiles picture(4, shown, shape.height, shape.width, 4);  // canvases and their maps, without and with the digit
  for (std::size_t n = 0; n < f.good.size(); ++n)
    for (std::size_t p = 0; p < pixels; ++p) {
      const std::size_t y = p / shape.width, x = p % shape.width;
      picture.set(0, n, y, x, grey(static_cast<double>(h.good.grey.data()[n * pixels + p])));
      picture.set(1, n, y, x, grey(static_cast<double>(f.good[n][p]) / 0.3));
      picture.set(2, n, y, x, grey(static_cast<double>(h.bad.grey.data()[n * pixels + p])));
      picture.set(3, n, y, x, grey(static_cast<double>(f.bad[n][p]) / 0.3));
    }
  picture.write_png(std::filesystem::path(o.out) / name);
}

void report(const options& o, const std::string& file, const std::string& caption,
            const std::vector<std::string>& names, const std::vector<std::vector<finding>>& all) {
  table results(caption, {{"AUC, largest", 3}, {"AUC, mean", 3}, {"found, %"}});
  std::ofstream csv(std::filesystem::path(o.out) / file);
  csv << "what,seed,auc_largest,auc_mean,found\n";
  for (std::size_t w = 0; w < names.size(); ++w) {
    std::vector<double> largest, mean, found;
    for (const finding& f : all[w]) {
      csv << names[w] << ',' << largest.size() << ',' << f.by_largest << ',' << f.by_mean << ',' << f.found << '\n';
      largest.push_back(f.by_largest);
      mean.push_back(f.by_mean);
      found.push_back(f.found);
    }
    results.add(names[w], {largest, mean, found});
  }
  results.print();
}

void anomalies(const options& o, const digit_images& digits) {
  const std::vector<way> ways{{"random teacher, all errors", false, 0},
                              {"random teacher, hardest 10 %", false, 0.9},
                              {"trained teacher, all errors", true, 0},
                              {"trained teacher, hardest 10 %", true, 0.9}};
  const auto seeds = static_cast<std::size_t>(o.seeds);
  std::vector<hunt> hunts;
  for (int odd = 0; odd < 10; ++odd) hunts.emplace_back(o, digits, odd);
  std::vector<std::vector<finding>> nines(ways.size(), std::vector<finding>(seeds)),
      each(10, std::vector<finding>(seeds));
  {
    const int of_nines = o.seeds * static_cast<int>(ways.size()), of_each = o.seeds * 9;
    progress_line progress("training " + std::to_string(of_nines + of_each) + " students", of_nines + of_each);
    std::vector<mlp> trained(seeds, mlp({1, 1}, 0));
    parallel_for(o.seeds, o.threads, [&](int i) {
      const auto s = static_cast<std::size_t>(i);
      trained[s] = train_teacher(hunts[9].normal, o.teacher_updates / 4, 200 + s);
    });
    parallel_for(of_nines + of_each, o.threads, [&](int i) {
      if (i < of_nines) {
        const auto w = static_cast<std::size_t>(i) % ways.size(), s = static_cast<std::size_t>(i) / ways.size();
        nines[w][s] = look(o, hunts[9], ways[w], trained[s], s);
      } else {
        const auto odd = static_cast<std::size_t>(i - of_nines) % 9, s = static_cast<std::size_t>(i - of_nines) / 9;
        each[odd][s] = look(o, hunts[odd], ways[1], trained[s], s);
      }
      progress.advance();
    });
  }
  each[9] = nines[1];
  std::vector<std::string> of_ways, of_digits;
  for (const way& w : ways) of_ways.push_back(w.name);
  for (int odd = 0; odd < 10; ++odd) of_digits.push_back(std::to_string(odd));
  report(o, "nines.csv", "9 among 0 to 8", of_ways, nines);
  report(o, "digits.csv", ways[1].name, of_digits, each);
  show(o, "nines.png", hunts[9], nines[1][0]);
  show(o, "zeros.png", hunts[0], each[0][0]);
}

constexpr const char* usage = R"(Segmentation and anomalies on canvases of handwritten digits.
  --seeds N            draws of labelled canvases, and of networks (5)
  --updates N          updates of every segmenter; students of anomalies have twice as many (600)
  --teacher-updates N  updates of the teacher of segmentation; those of anomalies have a quarter (6000)
  --labelled N         canvases that a student of segmentation sees (24)
  --normal N           canvases that a student of anomalies sees (400)
  --test N             canvases to test on (200)
  --threads N          runs at a time (all cores); changes no result
  --out DIR            folder of tables and pictures (digit_canvas-results)
  --data DIR           folder of digits.csv.gz
  --quick              2 seeds, few updates: a look at the program, not at the methods
)";

void run(int argc, char** argv) {
  options o;
  command_line line(usage);
  line.whole("--seeds", o.seeds, 1, 1'000).whole("--updates", o.updates, 1, 1'000'000);
  line.whole("--teacher-updates", o.teacher_updates, 2, 1'000'000).whole("--labelled", o.labelled, 4, 10'000);
  line.whole("--normal", o.normal, 1, 10'000)
      .whole("--test", o.test, 10, 10'000)
      .whole("--threads", o.threads, 1, 1'024);
  line.text("--out", o.out).text("--data", o.data);
  line.flag("--quick", [&] {
    o.seeds = 2;
    o.updates = 30;
    o.teacher_updates = 100;
    o.labelled = 8;
    o.normal = 20;
    o.test = 20;
  });
  line.parse(argc, argv);
  std::filesystem::create_directories(o.out);
  const digit_images digits = read_digits(o.data);
  segmentation(o, digits);
  anomalies(o, digits);
  std::printf("%.0f s in all\n", seconds());
}

}  // namespace digit_canvas

int main(int argc, char** argv) try { digit_canvas::run(argc, argv); } catch (const std::exception& e) {
  std::fprintf(stderr, "digit_canvas: %s\n", e.what());
  return 1;
}
