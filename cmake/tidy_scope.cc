// SPDX-License-Identifier: Apache-2.0
//
// A plugin for clang-tidy: lets it look at our own declarations only.
// clang-tidy 14 runs all checks over all that a file includes, and then drops
// what it has found in system headers: two thirds of its time. What it reports
// is the same without.
//
// It is no check, but a plugin of the compiler in clang-tidy, which is handed
// each parsed file before the checks are.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clang/AST/ASTConsumer.h"
#include "clang/AST/ASTContext.h"
#include "clang/AST/DeclBase.h"
#include "clang/Basic/SourceManager.h"
#include "clang/Frontend/FrontendAction.h"
#include "clang/Frontend/FrontendPluginRegistry.h"

namespace {

class OwnDeclarations : public clang::ASTConsumer {
 public:
  void HandleTranslationUnit(clang::ASTContext& context) override {
    const clang::SourceManager& sources = context.getSourceManager();
    std::vector<clang::Decl*> own;
    for (clang::Decl* declaration : context.getTranslationUnitDecl()->decls()) {
      const clang::SourceLocation place = declaration->getLocation();
      if (place.isValid() &&
          !sources.isInSystemHeader(sources.getExpansionLoc(place))) {
        own.push_back(declaration);
      }
    }
    context.setTraversalScope(own);
  }
};

class Scope : public clang::PluginASTAction {
 protected:
  std::unique_ptr<clang::ASTConsumer> CreateASTConsumer(
      clang::CompilerInstance& /*compiler*/,
      llvm::StringRef /*file*/) override {
    return std::make_unique<OwnDeclarations>();
  }
  bool ParseArgs(const clang::CompilerInstance& /*compiler*/,
                 const std::vector<std::string>& /*arguments*/) override {
    return true;
  }
  ActionType getActionType() override { return AddBeforeMainAction; }
};

const clang::FrontendPluginRegistry::Add<Scope> kScope("ipc-tidy-scope",
                                                       "our own declarations");

}  // namespace
