#ifndef LIMBECK_LAYERS_LAYER_MAP_HPP
#define LIMBECK_LAYERS_LAYER_MAP_HPP

/// @file
/// Which layer of the teacher teaches which layer of the student.
///
///     for (const auto [mine, theirs] : lk::layer_map::evenly(4, 12)) ...    // 0 2, 1 5, 2 8, 3 11
///
/// Numbers are those of two lists of tensors, from 0. Papers count layers from 1, and so do lists that begin with the
/// embeddings: `with_embeddings()` moves a map there.

#include <limbeck/core/errors.hpp>
#include <limbeck/core/random.hpp>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// One layer of each side.
struct layer_pair {
  std::size_t student;  ///< its number in the student's list
  std::size_t teacher;  ///< its number in the teacher's
  bool operator==(const layer_pair&) const = default;
};

/// Pairs of layers, in order: a range. Made by one of the functions below, or of pairs: `layer_map{{0, 3}, {1, 7}}`.
class layer_map {
 public:
  layer_map() = default;
  /// The pairs as they are.
  layer_map(std::initializer_list<layer_pair> pairs) : pairs_(pairs) {}
  /// The same.
  explicit layer_map(std::vector<layer_pair> pairs) : pairs_(std::move(pairs)) {}

  /// The teacher's layers in as many blocks as the student has layers; the last of each block teaches: counted from 1,
  /// layer i learns from ceil(i m / n), of n and m layers. 4 of 12: 3, 6, 9, 12 (Jiao et al., TinyBERT, 2020,
  /// arXiv:1909.10351); 9 of 12: 2, 3, 4, 6, 7, 8, 10, 11, 12 (Yu, Wen and Mou, 2025, arXiv:2502.04499, their "forward").
  /// @throws value_error where one side has no layers.
  static layer_map evenly(std::size_t student_layers, std::size_t teacher_layers) {
    check(student_layers, teacher_layers);
    layer_map all;
    for (std::size_t i = 0; i < student_layers; ++i)
      all.pairs_.push_back({i, ((i + 1) * teacher_layers + student_layers - 1) / student_layers - 1});
    return all;
  }
  /// Every layer of the student learns from layer @p teacher: arXiv:2502.04499, their "all-to-one".
  static layer_map all_to_one(std::size_t student_layers, std::size_t teacher) {
    layer_map all;
    for (std::size_t i = 0; i < student_layers; ++i) all.pairs_.push_back({i, teacher});
    return all;
  }
  /// For each layer i of the student the @p k layers j of the teacher of least `distance(i, j)`, the nearest first; of equal
  /// ones the lower. The distance is any number: `objective.value(mine[i], theirs[j])`, or one minus a similarity.
  /// @throws value_error where one side has no layers, where k is not in 1 .. @p teacher_layers, or where a distance is NaN.
  template <class Distance>
  static layer_map nearest(std::size_t student_layers, std::size_t teacher_layers, std::size_t k, const Distance& distance) {
    check(student_layers, teacher_layers);
    if (k == 0 || k > teacher_layers)
      raise<value_error>("limbeck: k of layer_map::nearest is " + std::to_string(k) + ", expected 1 to the " +
                         std::to_string(teacher_layers) + " layers of the teacher");
    layer_map all;
    std::vector<double> apart(teacher_layers);
    std::vector<std::size_t> order(teacher_layers);
    for (std::size_t i = 0; i < student_layers; ++i) {
      for (std::size_t j = 0; j < teacher_layers; ++j) {
        apart[j] = static_cast<double>(distance(i, j));
        if (apart[j] != apart[j])
          raise<value_error>("limbeck: the distance of layer_map::nearest is nan between the student's layer " +
                             std::to_string(i) + " and the teacher's " + std::to_string(j) + ", expected a number");
      }
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return apart[a] < apart[b]; });
      for (std::size_t j = 0; j < k; ++j) all.pairs_.push_back({i, order[j]});
    }
    return all;
  }

  /// The same layers of the student with the teacher's in the opposite order: arXiv:2502.04499, their "reverse".
  layer_map reversed() const {
    layer_map all = *this;
    for (std::size_t i = 0; i < pairs_.size(); ++i) all.pairs_[i].teacher = pairs_[pairs_.size() - 1 - i].teacher;
    return all;
  }
  /// The same layers of the student with the teacher's in a random order, by @p stream.
  layer_map shuffled(random_stream& stream) const {
    layer_map all = *this;
    std::vector<std::size_t> theirs;
    for (const layer_pair& p : pairs_) theirs.push_back(p.teacher);
    stream.shuffle(theirs);
    for (std::size_t i = 0; i < theirs.size(); ++i) all.pairs_[i].teacher = theirs[i];
    return all;
  }
  /// For lists that begin with the embeddings, as `hidden_states` of Hugging Face's transformers: both numbers of each pair are
  /// one higher, and {0, 0} comes first.
  layer_map with_embeddings() const {
    layer_map all{{0, 0}};
    for (const layer_pair& p : pairs_) all.pairs_.push_back({p.student + 1, p.teacher + 1});
    return all;
  }

  std::size_t size() const { return pairs_.size(); }       ///< how many pairs
  auto begin() const { return pairs_.begin(); }            ///< the first
  auto end() const { return pairs_.end(); }                ///< behind the last
  layer_pair operator[](std::size_t k) const { return pairs_[k]; }  ///< pair @p k
  bool operator==(const layer_map&) const = default;
  /// "0 of 2, 1 of 5, ...": the student's of the teacher's.
  std::string describe() const {
    std::string text;
    for (const layer_pair& p : pairs_)
      text += (text.empty() ? "" : ", ") + std::to_string(p.student) + " of " + std::to_string(p.teacher);
    return text;
  }

 private:
  static void check(std::size_t student_layers, std::size_t teacher_layers) {
    if (student_layers == 0 || teacher_layers == 0)
      raise<value_error>("limbeck: a layer_map is of " + std::to_string(student_layers) + " layers of the student and " +
                         std::to_string(teacher_layers) + " of the teacher, expected at least 1 of both");
  }
  std::vector<layer_pair> pairs_;
};

LIMBECK_END_NAMESPACE

#endif
