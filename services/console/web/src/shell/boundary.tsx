import { Component, type ReactNode } from "react";
import { explain } from "../contract/problem";
import { Button } from "../ui/parts";

/** What failed to load or to draw says so in its own place, and the rest of the page goes on; another path is another try. */
export class Boundary extends Component<{ path: string; children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  override componentDidUpdate(before: { path: string }): void {
    if (before.path !== this.props.path && this.state.error !== undefined) this.setState({ error: undefined });
  }

  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children;
    return (
      <div className="page stack" role="alert" data-testid="screen-failed">
        <h1>This screen can't be shown</h1>
        <p className="secondary">Perhaps the console was renewed since it was opened here. Load it again; what was saved is kept.</p>
        <div>
          <Button look="primary" onClick={() => location.reload()}>
            Load again
          </Button>
        </div>
        <p className="muted mono">{explain(this.state.error)}</p>
      </div>
    );
  }
}
