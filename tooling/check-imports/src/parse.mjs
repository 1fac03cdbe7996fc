import ts from 'typescript';

/**
 * One import of a file, of whatever form: `import`, `export … from`, `import()`, `require()`, `import('…').Type`.
 * @typedef {{ specifier: string, typeOnly: boolean, line: number }} ImportedName
 */

/** @param {ts.ImportDeclaration | ts.ExportDeclaration} node */
function isTypeOnly(node) {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  const clause = node.importClause;
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const bindings = clause.namedBindings;
  if (clause.name !== undefined || bindings === undefined || !ts.isNamedImports(bindings)) return false;
  return bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly);
}

/**
 * The imports of a TypeScript or JavaScript source, in order.
 * @param {string} path for its extension only
 * @param {string} text
 * @returns {ImportedName[]}
 */
export function importsOf(path, text) {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, false);
  /** @type {ImportedName[]} */
  const found = [];
  /** @param {ts.Node | undefined} literal @param {boolean} typeOnly */
  const add = (literal, typeOnly) => {
    if (literal === undefined || !ts.isStringLiteralLike(literal)) return;
    const line = source.getLineAndCharacterOfPosition(literal.getStart(source)).line + 1;
    found.push({ specifier: literal.text, typeOnly, line });
  };
  /** @param {ts.Node} node */
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, isTypeOnly(node));
      return;
    }
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    if (ts.isCallExpression(node)) {
      const called = node.expression;
      const isImport = called.kind === ts.SyntaxKind.ImportKeyword;
      if (isImport || (ts.isIdentifier(called) && called.text === 'require')) add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(source, visit);
  return found;
}
