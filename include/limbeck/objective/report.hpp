#ifndef LIMBECK_OBJECTIVE_REPORT_HPP
#define LIMBECK_OBJECTIVE_REPORT_HPP

/// @file
/// What an objective says of itself: its plan, and a report on its terms.

#include <limbeck/core/errors.hpp>
#include <limbeck/engine/plan.hpp>
#include <limbeck/objective/words.hpp>

#include <boost/hana/for_each.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/unpack.hpp>

#include <cmath>
#include <ostream>
#include <string>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// One line a term: weight at this progress, value (weight and T^k included), norm of its part of the gradient.
class objective_report {
 public:
  /// One term.
  struct line {
    std::string name;                     ///< as `named` says, or its type
    double weight, value, gradient_norm;  ///< weight; value, weight and T^k included; norm of its gradient
  };
  /// In order of appearance.
  const std::vector<line>& terms() const { return terms_; }
  /// Sum of the values: the loss.
  double total() const {
    double value = 0;
    for (const line& t : terms_) value += t.value;
    return value;
  }
  /// @cond
  void add(std::string_view name, double weight, double value, double squared_norm) {
    terms_.push_back({std::string(name), weight, value, std::sqrt(squared_norm)});
  }
  void add(const objective_report& more, const std::string& where = "") {
    for (const line& t : more.terms_) terms_.push_back({t.name + where, t.weight, t.value, t.gradient_norm});
  }
  /// @endcond

  /// A table.
  friend std::ostream& operator<<(std::ostream& out, const objective_report& r) {
    std::size_t width = 5;
    for (const line& t : r.terms_) width = t.name.size() > width ? t.name.size() : width;
    const auto cell = [&](const std::string& s, std::size_t w) { return s + std::string(w > s.size() ? w - s.size() : 1, ' '); };
    out << cell("term", width + 2) << cell("weight", 12) << cell("value", 12) << "gradient norm\n";
    for (const line& t : r.terms_)
      out << cell(t.name, width + 2) << cell(detail::show(t.weight), 12) << cell(detail::show(t.value), 12)
          << detail::show(t.gradient_norm) << '\n';
    return out << cell("total", width + 2) << cell("", 12) << detail::show(r.total()) << '\n';
  }

 private:
  std::vector<line> terms_;
};

/// The plan of an objective as text: its terms, the statistics of a row, which terms share them, and the sweeps.
class plan_text {
 public:
  /// @cond
  template <class Terms>
  plan_text(const Terms& terms, const std::vector<detail::term_words>& words) {
    using Plan = typename detail::plan_of<Terms>::type;
    text_ = "terms\n";
    auto word = words.begin();
    boost::hana::for_each(terms, [&](const auto& t) {
      using Term = std::remove_cvref_t<decltype(t)>;
      using L = typename Term::loss_type;
      const auto type = detail::loss_name<L>();
      text_ += "  " + detail::show(t.weight) + whole(word->weight_moves, word->weight) + " * ";
      if (t.power > 0) {
        text_ += "T^" + std::to_string(t.power) + " * ";
      }
      text_ += word->loss;
      if (t.name != type) text_ += " \"" + std::string(t.name) + "\"";
      if (!word->part_of.empty()) text_ += ", part of " + word->part_of;
      if (!word->signal.empty()) text_ += ", weighed by " + word->signal;
      if constexpr (detail::is<L, batchwise>) text_ += ", of the whole batch";
      if constexpr (detail::is<L, batchwise> && !requires { L::temperature_power; }) {  // reads no temperature
        ++word;
        text_ += '\n';
        return;
      }
      text_ += ", student at T = " + temperature<typename Term::student_slot>(t.student_t) +
               whole(word->student_moves, word->student);
      if constexpr (detail::needs_teacher<L>())
        text_ += ", teacher at T = " + temperature<typename Term::teacher_slot>(t.teacher_t) +
                 whole(word->teacher_moves, word->teacher);
      ++word;
      text_ += domain<typename Term::domain>() + "\n";
    });
    if constexpr (Plan::size > 0 && !swept<Terms>()) return;
    text_ += "statistics of a row\n";
    detail::for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() {
      text_ += "  maximum of " + side<typename M::who>() + domain<typename M::domain>() + "\n";
    });
    detail::for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() {
      text_ += "  softmax of " + side<typename K::who>() + " at T = " + slot<typename K::slot>(terms) +
               domain<typename K::domain>() + readers<K>(terms) + "\n";
    });
    detail::for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() {
      text_ += "  log p - log q at T = " + slot<typename P::student::slot>(terms) +
               domain<typename P::domain>() + "\n";
    });
    std::size_t asked = 0;
    boost::hana::for_each(terms, [&](const auto& t) {
      asked += decltype(boost::hana::length(detail::needs_of<std::remove_cvref_t<decltype(t)>>::softmaxes()))::value;
    });
    text_ += "one sweep: " + std::to_string(Plan::softmaxes::size) + " exponentials a class (" +
             std::to_string(asked) + " asked for), " + std::to_string(Plan::teacher ? 2 : 1) +
             " tensors read, 1 gradient written\n";
  }
  plan_text() = default;
  void add(const std::string& title, const plan_text& part) { text_ += title + part.text_; }
  /// @endcond
  /// The text.
  const std::string& str() const { return text_; }
  /// Writes the text.
  friend std::ostream& operator<<(std::ostream& out, const plan_text& p) { return out << p.text_; }

 private:
  /// Whether any term is of rows.
  template <class Terms>
  static constexpr bool swept() {
    return decltype(boost::hana::unpack(std::declval<Terms>(), []<class... Term>(const Term&...) {
      return std::bool_constant<(!detail::is<typename Term::loss_type, batchwise> || ...)>{};
    }))::value;
  }
  /// The whole of a schedule or signal, beside what it is now.
  static std::string whole(bool moves, const std::string& words) { return moves ? " [" + words + "]" : ""; }
  template <class Who>
  static std::string side() {
    return std::is_same_v<Who, detail::student_side> ? "student" : "teacher";
  }
  template <class Domain>
  static std::string domain() {
    using top = detail::top_in<Domain>;
    if (top::size > 0)
      return (top::below ? ", all but the top " : ", top ") + std::to_string(top::size) + " of the teacher" +
             (top::with_rest ? ", and the rest" : "");
    return std::is_same_v<Domain, all> ? "" : std::is_same_v<Domain, non_target> ? ", all but the label" : ", masked";
  }
  template <class Slot>
  static std::string temperature(double value) {
    if (detail::is_row_slot<Slot>) return "one a row";
    return detail::show(value) +
           (detail::is_learned<Slot> ? " (learned)" : detail::is_deviation<Slot> ? " deviations" : "");
  }
  template <class Slot, class Terms>
  static std::string slot(const Terms& terms) {
    std::string s;
    boost::hana::for_each(terms, [&](const auto& t) {
      using Term = std::remove_cvref_t<decltype(t)>;
      if (std::is_same_v<typename Term::student_slot, Slot>) s = temperature<Slot>(t.student_t);
      if (std::is_same_v<typename Term::teacher_slot, Slot>) s = temperature<Slot>(t.teacher_t);
    });
    return s;
  }
  template <class K, class Terms>
  static std::string readers(const Terms& terms) {
    std::string s;
    std::size_t n = 0;
    boost::hana::for_each(terms, [&](const auto& t) {
      if constexpr (decltype(boost::hana::contains(detail::needs_of<std::remove_cvref_t<decltype(t)>>::softmaxes(),
                                                   boost::hana::type_c<K>))::value) {
        s += (n++ ? ", " : "") + std::string(t.name);
      }
    });
    return (n > 1 ? ": shared by " : ": ") + s;
  }
  std::string text_;
};

LIMBECK_END_NAMESPACE

#endif
