#ifndef LIMBECK_TRAINER_METRICS_HPP
#define LIMBECK_TRAINER_METRICS_HPP

/// @file
/// How good a classifier is: accuracy, negative log-likelihood and calibration error, gathered batch by batch.

#include <limbeck/core/any_tensor.hpp>
#include <limbeck/core/errors.hpp>
#include <limbeck/core/half.hpp>
#include <limbeck/core/rows.hpp>
#include <limbeck/core/softmax.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// Named numbers, in order of appearance.
class metric_list {
 public:
  /// Sets @p name, adding it where it is new.
  void set(const std::string& name, double value) {
    for (auto& [known, number] : all_)
      if (known == name) {
        number = value;
        return;
      }
    all_.emplace_back(name, value);
  }
  /// Its value, NaN where there is none.
  double operator[](const std::string& name) const {
    for (const auto& [known, number] : all_)
      if (known == name) return number;
    return std::numeric_limits<double>::quiet_NaN();
  }
  /// Whether @p name has been set.
  bool contains(const std::string& name) const {
    return std::any_of(all_.begin(), all_.end(), [&](const auto& m) { return m.first == name; });
  }
  /// Sets every value to NaN; the names stay.
  void forget() {
    for (auto& m : all_) m.second = std::numeric_limits<double>::quiet_NaN();
  }
  /// Names and values.
  const std::vector<std::pair<std::string, double>>& all() const { return all_; }
  /// Saves or restores names (which hold no line feed) and values. @throws value_error where these are not as many; the
  /// list stays as it was.
  template <class Archive>
  void serialize(Archive& archive) {
    std::string names;
    std::vector<double> values;
    for (const auto& [name, value] : all_) {
      names += name + '\n';
      values.push_back(value);
    }
    archive("names", names);
    archive("values", values);
    const auto count = static_cast<std::size_t>(std::count(names.begin(), names.end(), '\n'));
    if (count != values.size())
      raise<value_error>("limbeck: the restored metrics have " + std::to_string(count) + " names and " +
                         std::to_string(values.size()) + " values");
    all_.clear();
    for (std::size_t i = 0, at = 0; i < values.size(); ++i) {
      const std::size_t end = names.find('\n', at);
      all_.emplace_back(names.substr(at, end - at), values[i]);
      at = end + 1;
    }
  }

 private:
  std::vector<std::pair<std::string, double>> all_;
};

namespace detail {

/// softmax of row @p r in double, into @p p; the likeliest class, the lowest among equals.
/// @throws value_error where the row has a NaN, a +inf, or nothing but -inf.
template <class E>
std::size_t softmax_of(const rows<const E>& x, std::size_t r, std::vector<double>& p) {
  using T = arithmetic_of_t<E>;
  const std::string where = " at row " + std::to_string(r);
  if (x.classes == 0) raise<shape_error>("limbeck: logits have no classes");
  std::size_t best = 0;
  for (std::size_t c = 0; c < x.classes; ++c) {
    const T v = x(r, c);
    if (v != v || v == std::numeric_limits<T>::infinity())
      raise<value_error>("limbeck: logits is " + show(static_cast<double>(v)) + where + ", column " + std::to_string(c) +
                         ", expected a finite number or -inf");
    if (v > static_cast<T>(x(r, best))) best = c;
  }
  const double top = static_cast<double>(static_cast<T>(x(r, best)));
  if (top == -std::numeric_limits<double>::infinity()) raise<value_error>("limbeck: logits are all -inf" + where);
  p.resize(x.classes);
  softmax_below(
      top, [&](std::size_t c) { return static_cast<T>(x(r, c)); }, p);
  return best;
}

}  // namespace detail

/// Counts rows of logits with their labels. O(classes) a row, no memory but 15 bins and a row. Of several ranks:
/// `all_reduce_sum(world, metrics)` has the rows of all.
///
/// - `accuracy()`: the share of rows whose largest logit (the lowest class among equals) is the label;
/// - `nll()`: the mean of -log softmax(logits)[label], in nats;
/// - `ece()`: the expected calibration error: sum over 15 bins (m - 1, m] / 15 of confidence of |rows of the
/// bin|/|rows| *
///   |accuracy - mean confidence| (Guo et al., *On Calibration of Modern Neural Networks*, 2017, arXiv:1706.04599).
class classification_metrics {
 public:
  /// Adds a batch. Rows with label -100 do not count. Nothing is added where anything is wrong. Logits and labels may be
  /// tensors whose type is known at run time.
  /// @throws shape_error where the numbers of rows differ; value_error where a label is out of range or a row of logits
  /// has a NaN, a +inf, or nothing but -inf, or where logits are no floats of 16 to 64 bits, labels no whole numbers.
  template <class Logits, class Labels>
    requires(tensor<Logits> || run_time_tensor<Logits>)
  void add(const Logits& logits, const Labels& labels) {
    add_all(logits, labels_of(labels), {});
  }
  /// The same of the rows whose @p mask is not 0; the others' logits and labels may be anything.
  template <class Logits, class Labels, class Mask>
    requires(tensor<Logits> || run_time_tensor<Logits>)
  void add(const Logits& logits, const Labels& labels, const Mask& mask) {
    add_all(logits, labels_of(labels), mask_of(mask));
  }
  /// Adds what the other ranks have counted: one message of 264 bytes to each.
  template <communicator C>
  void all_reduce(const C& comm) {
    std::array<double, 33> all{rows_, correct_, nll_};
    const auto places = [&](const auto& f) {
      for (std::size_t i = 0; i < bins_.size(); ++i) f(bins_[i].confidence, all[3 + 2 * i]), f(bins_[i].correct, all[4 + 2 * i]);
    };
    places([](double x, double& to) { to = x; });
    all_reduce_sum(comm, std::span<double>(all));
    rows_ = all[0], correct_ = all[1], nll_ = all[2];
    places([](double& x, double from) { x = from; });
  }
  /// Rows counted.
  std::size_t rows_counted() const { return static_cast<std::size_t>(rows_); }
  /// In [0, 1]; NaN without rows.
  double accuracy() const { return correct_ / rows_; }
  /// At least 0; +inf where a label's logit is -inf; NaN without rows.
  double nll() const { return nll_ / rows_; }
  /// In [0, 1]; NaN without rows.
  double ece() const {
    double error = 0;
    for (const bin& b : bins_) error += std::abs(b.correct - b.confidence);
    return error / rows_;
  }
  /// The sums, for all_reduce_sum() over ranks.
  template <class F>
  void for_each_sum(F&& f) {
    f(std::span<double>(&rows_, 1));
    f(std::span<double>(&correct_, 1));
    f(std::span<double>(&nll_, 1));
    for (bin& b : bins_) f(std::span<double>(&b.confidence, 1)), f(std::span<double>(&b.correct, 1));
  }

 private:
  struct bin {
    double confidence = 0, correct = 0;
  };
  template <class Logits>
  void add_all(const Logits& logits, const any_vector& labels, const any_vector& mask) {
    if constexpr (run_time_tensor<Logits>) {
      const any_tensor x = any_tensor_traits<Logits>::view(logits);
      switch (x.type) {
        case element_type::float64: return add_rows(x.template rows<const double>("logits"), labels, mask);
        case element_type::float16: return add_rows(x.template rows<const float16>("logits"), labels, mask);
        case element_type::bfloat16: return add_rows(x.template rows<const bfloat16>("logits"), labels, mask);
        default: return add_rows(x.template rows<const float>("logits"), labels, mask);
      }
    } else {
      static_assert(std::is_same_v<typename tensor_traits<Logits>::sweep, host_rows>,
                    "limbeck: these metrics read logits on the host; copy the logits there");
      const auto x = tensor_traits<Logits>::view(logits);
      add_rows(rows<const std::remove_const_t<typename decltype(x)::element>>(x), labels, mask);
    }
  }
  template <class Mask>
  static any_vector mask_of(const Mask& mask) {
    if constexpr (run_time_tensor<Mask>) {
      return any_tensor_traits<Mask>::view(mask).vector("row_mask");
    } else {
      return detail::view_vector(mask);
    }
  }
  template <class Labels>
  static any_vector labels_of(const Labels& labels) {
    if constexpr (run_time_tensor<Labels>) {
      const any_tensor y = any_tensor_traits<Labels>::view(labels);
      if (!is_integer(y.type)) raise<value_error>("limbeck: labels is " + y.str() + ", expected whole numbers");
      return y.vector("labels");
    } else {
      return detail::view_vector(labels);
    }
  }
  template <class T>
  void add_rows(const rows<const T>& x, const any_vector& y, const any_vector& mask) {
    if (y.size() != x.samples) detail::throw_length("labels", y.size(), x.samples);
    if (!mask.empty() && mask.size() != x.samples) detail::throw_length("row_mask", mask.size(), x.samples);
    classification_metrics next = *this;
    for (std::size_t r = 0; r < x.samples; ++r)
      if (y.integer(r) != -100 && (mask.empty() || mask.number(r) != 0)) next.add_row(x, r, y.integer(r));
    *this = next;
  }
  template <class T>
  void add_row(const rows<const T>& x, std::size_t r, std::int64_t label) {
    const std::string where = " at row " + std::to_string(r);
    if (label < 0 || static_cast<std::size_t>(label) >= x.classes)
      raise<value_error>("limbeck: label is " + std::to_string(label) + where + ", expected 0 to " +
                         std::to_string(x.classes - 1) + ", or -100");
    const std::size_t best = detail::softmax_of(x, r, probabilities_);
    const double confidence = probabilities_[best];
    const double correct = best == static_cast<std::size_t>(label) ? 1 : 0;
    rows_ += 1;
    correct_ += correct;
    const double gap = static_cast<double>(x(r, best)) - static_cast<double>(x(r, static_cast<std::size_t>(label)));
    nll_ += gap - std::log(confidence);
    const auto index = static_cast<std::size_t>(std::ceil(confidence * 15)) - 1;  // (m - 1, m] / 15
    bin& b = bins_[(std::min)(index, bins_.size() - 1)];
    b.confidence += confidence;
    b.correct += correct;
  }
  double rows_ = 0, correct_ = 0, nll_ = 0;
  std::array<bin, 15> bins_{};
  std::vector<double> probabilities_;  // of the row at hand
};

LIMBECK_END_NAMESPACE

#endif
