import "./ui/fonts.css";
import "./ui/tokens.css";
import "./ui/base.css";
import "./shell/shell.css";
import { createRoot } from "react-dom/client";
import { App } from "./shell/app";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element with the id 'root'");
createRoot(root).render(<App />);
