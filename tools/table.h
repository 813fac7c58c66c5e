// SPDX-License-Identifier: Apache-2.0
//
// A table of text with aligned columns, numbers to the right. Nothing is cut
// off: a table is as wide as its contents.

#ifndef IPC_TOOLS_TABLE_H_
#define IPC_TOOLS_TABLE_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ipc::tools {

enum class Align { kLeft, kRight };

// `text`, filled with blanks to `width` columns; longer text stays whole.
std::string Pad(std::string_view text, size_t width, Align align);

class Table {
 public:
  struct Column {
    std::string title;
    Align align;
  };

  explicit Table(std::vector<Column> columns);

  // `cells` are printable text (text.h), one for each column.
  void AddRow(std::vector<std::string> cells);

  // The titles, in bold if `colour`, and the rows; one line each.
  std::string Render(bool colour) const;

 private:
  std::string RenderRow(const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace ipc::tools

#endif  // IPC_TOOLS_TABLE_H_
