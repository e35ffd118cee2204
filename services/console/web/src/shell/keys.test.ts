import { beforeAll, expect, test, vi } from "vitest";

class FakeElement {
  isContentEditable = false;
  constructor(
    readonly tagName: string,
    private readonly inControl = false,
  ) {}
  closest() {
    return this.inControl ? this : null;
  }
}

let keyName: typeof import("./keys").keyName;
beforeAll(async () => {
  vi.stubGlobal("HTMLElement", FakeElement);
  vi.stubGlobal("document", { documentElement: { dataset: {} } });
  ({ keyName } = await import("./keys"));
});

const press = (key: string, target: FakeElement, part: Partial<KeyboardEvent> = {}) => ({ key, target, ctrlKey: false, altKey: false, metaKey: false, isComposing: false, ...part }) as unknown as KeyboardEvent;
const page = new FakeElement("BODY");

test("letters never act while somebody types", () => {
  for (const tag of ["INPUT", "TEXTAREA", "SELECT"]) expect(keyName(press("a", new FakeElement(tag)), true)).toBeUndefined();
  expect(keyName(press("A", page), true)).toBe("a");
});

test("Enter on a focused button belongs to the button", () => {
  expect(keyName(press("Enter", new FakeElement("BUTTON", true)), true)).toBeUndefined();
  expect(keyName(press("Enter", page), true)).toBe("Enter");
});

test("letters can be switched off; Ctrl K and Escape stay", () => {
  expect(keyName(press("j", page), false)).toBeUndefined();
  expect(keyName(press("k", page, { ctrlKey: true }), false)).toBe("Control+k");
  expect(keyName(press("Escape", page), false)).toBe("Escape");
});

test("other modifiers belong to the browser", () => {
  expect(keyName(press("a", page, { ctrlKey: true }), true)).toBeUndefined();
  expect(keyName(press("a", page, { metaKey: true }), true)).toBeUndefined();
  expect(keyName(press("a", page, { isComposing: true }), true)).toBeUndefined();
});
