// SPDX-License-Identifier: Apache-2.0
//
// See table.h.

#include "tools/table.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/colour.h"
#include "tools/text.h"

namespace ipc::tools {
namespace {

constexpr std::string_view kBetweenColumns = "  ";

}  // namespace

std::string Pad(std::string_view text, size_t width, Align align) {
  const size_t taken = DisplayWidth(text);
  const std::string blanks(width > taken ? width - taken : 0, ' ');
  const std::string content(text);
  return align == Align::kLeft ? content + blanks : blanks + content;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) {
    widths_.push_back(DisplayWidth(column.title));
  }
}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    widths_[i] = std::max(widths_[i], DisplayWidth(cells[i]));
  }
  rows_.push_back(std::move(cells));
}

std::string Table::Render(bool colour) const {
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  std::string out = Coloured(RenderRow(titles), Colour::kBold, colour) + "\n";
  for (const auto& row : rows_) out += RenderRow(row) + "\n";
  return out;
}

std::string Table::RenderRow(const std::vector<std::string>& cells) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += kBetweenColumns;
    line += Pad(cells[i], widths_[i], columns_[i].align);
  }
  // No blanks at the end of a line.
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace ipc::tools
